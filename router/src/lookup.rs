//! Host to app to endpoints: the immutable table that all cores read.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use dinp_common::instance::InstanceId;
use dinp_common::route::{Route, RouteState, RouteTable};

use crate::flights::Instance;
use crate::pages::Page;

/// One instance as an address to send to.
#[derive(Debug, Clone)]
pub struct Target {
    pub instance: Arc<Instance>,
    pub address: SocketAddr,
    pub release: u32,
}

/// One host's app.
#[derive(Debug)]
pub struct App {
    pub name: String,
    pub state: RouteState,
    pub targets: Vec<Target>,
    pub tunnel_grace_ms: u64,
}

/// A whole table. `None` inside until there has been one.
#[derive(Debug, Default)]
pub struct Snapshot {
    hosts: Option<HashMap<String, Arc<App>>>,
    instances: BTreeMap<InstanceId, Arc<Instance>>,
}

impl Snapshot {
    /// Builds what cores read from a certified table. `instances` has every instance of it.
    pub fn new(table: &RouteTable, instances: BTreeMap<InstanceId, Arc<Instance>>) -> Self {
        let app = |route: &Route| App {
            name: route.app.to_string(),
            state: route.state,
            targets: route
                .endpoints
                .iter()
                .filter_map(|endpoint| {
                    let instance = instances.get(&endpoint.instance)?.clone();
                    Some(Target { instance, address: endpoint.address, release: endpoint.release.0 })
                })
                .collect(),
            tunnel_grace_ms: route.tunnel_grace_ms,
        };
        let hosts = table.values().map(|route| (route.host.to_string(), Arc::new(app(route)))).collect();
        Self { hosts: Some(hosts), instances }
    }

    /// The app at `host`, which has at least one target; or the page that says why there is none. Hosts of the platform
    /// itself are in no table and so look like any unknown host.
    ///
    /// # Errors
    /// The page to answer with.
    pub fn app(&self, host: &str) -> Result<&Arc<App>, Page> {
        let hosts = self.hosts.as_ref().ok_or(Page::NoTable)?;
        let app = hosts.get(host).ok_or_else(|| Page::UnknownHost(host.to_owned()))?;
        match app.state {
            RouteState::Stopped => Err(Page::Stopped { app: app.name.clone() }),
            RouteState::Serving if app.targets.is_empty() => Err(Page::NoInstance { app: app.name.clone() }),
            RouteState::Serving => Ok(app),
        }
    }

    /// Whether some route leads to `instance`.
    pub fn has(&self, instance: &InstanceId) -> bool {
        self.instances.contains_key(instance)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use dinp_common::name::{AppName, Host};
    use dinp_common::release::ReleaseNo;
    use dinp_common::route::Endpoint;
    use dinp_daemon::Nudge;

    use super::*;
    use crate::flights::Flights;

    /// Routes `<app>.localhost` to instances by number.
    pub fn table(routes: &[(&str, &[u64])]) -> RouteTable {
        let endpoint = |n: &u64| Endpoint {
            instance: InstanceId::from_sequence(*n),
            address: format!("127.0.0.1:{}", 10_000 + n).parse().expect("address"),
            release: ReleaseNo(1),
        };
        let route = |app: &str, endpoints: &[u64]| Route {
            host: Host::parse(&format!("{app}.localhost")).expect("host"),
            app: AppName::parse(app).expect("app"),
            state: RouteState::Serving,
            endpoints: endpoints.iter().map(endpoint).collect(),
            tunnel_grace_ms: 1_000,
        };
        routes.iter().map(|(app, endpoints)| route(app, endpoints)).map(|route| (route.host.clone(), route)).collect()
    }

    #[test]
    fn every_host_has_its_app_or_the_page_that_says_why_not() {
        let mut table = table(&[("up", &[1]), ("empty", &[]), ("off", &[2])]);
        table.get_mut(&Host::parse("off.localhost").expect("host")).expect("route").state = RouteState::Stopped;
        let instances = Flights::new(Nudge::default()).follow(&table);
        let snapshot = Snapshot::new(&table, instances);
        assert_eq!(snapshot.app("up.localhost").map(|app| app.name.clone()), Ok("up".to_owned()));
        let page = |host: &str| snapshot.app(host).expect_err("a page");
        assert_eq!(page("empty.localhost"), Page::NoInstance { app: "empty".into() });
        assert_eq!(page("off.localhost"), Page::Stopped { app: "off".into() });
        for unknown in ["dash.localhost", "localhost", "up.localhost.evil", ""] {
            assert_eq!(page(unknown), Page::UnknownHost(unknown.to_owned()));
        }
        assert_eq!(Snapshot::default().app("up.localhost").expect_err("a page"), Page::NoTable);
        assert!(snapshot.has(&InstanceId::from_sequence(1)) && !snapshot.has(&InstanceId::from_sequence(9)));
    }
}
