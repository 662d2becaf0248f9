use dinp_common::name::{AppName, ClusterId};
use dinp_common::release::ReleaseNo;
use dinp_common::route::{Endpoint, RouteState};

use super::*;

fn fence(epoch: u64, holder: &str) -> Fence {
    Fence { cluster: ClusterId::parse("c").expect("cluster"), epoch, holder: holder.to_owned() }
}

fn id(n: u64) -> InstanceId {
    InstanceId::from_sequence(n)
}

fn table(routes: &[(&str, &[u64])]) -> RouteTable {
    routes
        .iter()
        .map(|(app, instances)| {
            let host = Host::parse(&format!("{app}.localhost")).expect("host");
            let endpoint = |n: &u64| Endpoint {
                instance: id(*n),
                address: format!("10.0.0.{n}:8080").parse().expect("address"),
                release: ReleaseNo(1),
            };
            let route = Route {
                host: host.clone(),
                app: AppName::parse(app).expect("app"),
                state: RouteState::Serving,
                endpoints: instances.iter().map(endpoint).collect(),
                tunnel_grace_ms: 1_000,
            };
            (host, route)
        })
        .collect()
}

#[test]
fn a_router_follows_its_leader_delta_by_delta() {
    let mut publisher = Publisher::new(fence(1, "a"));
    let mut router = Applier::default();
    for wanted in [table(&[]), table(&[("x", &[1])]), table(&[("x", &[1, 2]), ("y", &[3])]), table(&[("y", &[3])])] {
        let update = publisher.publish(&wanted).expect("changed");
        assert_eq!(router.apply(&update), Ok(true));
        assert_eq!(router.table(), Some(&wanted));
        assert_eq!(publisher.publish(&wanted), None);
    }
}

#[test]
fn an_empty_table_needs_a_certificate_like_any_other() {
    let mut publisher = Publisher::new(fence(1, "a"));
    let mut router = Applier::default();
    router.apply(&publisher.publish(&table(&[("x", &[1])])).expect("first")).expect("applies");
    let cert = TableCert { version: 2, ..publisher.cert() };
    let forged = RouteUpdate::Full { cert, routes: Vec::new() };
    assert!(matches!(router.apply(&forged), Err(TableRefusal::Uncertified { .. })));
    assert_eq!(router.table().map(RouteTable::len), Some(1));
}

#[test]
fn older_epochs_second_holders_and_gaps_are_refused() {
    let mut router = Applier::default();
    let mut second = Publisher::new(fence(2, "b"));
    router.apply(&second.publish(&table(&[("x", &[1])])).expect("first")).expect("applies");
    let stale = Publisher::new(fence(1, "a")).publish(&table(&[])).expect("first");
    assert!(matches!(router.apply(&stale), Err(TableRefusal::Fence(FenceRefusal::Older { .. }))));
    let twin = Publisher::new(fence(2, "c")).publish(&table(&[])).expect("first");
    assert!(matches!(router.apply(&twin), Err(TableRefusal::Fence(FenceRefusal::OtherHolder { .. }))));
    second.publish(&table(&[("x", &[2])]));
    let skipping = second.publish(&table(&[("x", &[3])])).expect("changed");
    assert!(matches!(router.apply(&skipping), Err(TableRefusal::Gap { .. })));
    assert_eq!(router.apply(&second.full()), Ok(true));
}

#[test]
fn presence_and_absence_carry_the_version_they_began_at() {
    let mut publisher = Publisher::new(fence(4, "a"));
    assert_eq!(publisher.absent_since(&id(9)), None, "nothing is known before the first version");
    publisher.publish(&table(&[("x", &[1])]));
    assert_eq!(publisher.present_since(&id(1)), Some(TableVersion { epoch: 4, version: 1 }));
    assert_eq!(publisher.absent_since(&id(9)), Some(TableVersion { epoch: 4, version: 1 }));
    publisher.publish(&table(&[("x", &[2])]));
    publisher.publish(&table(&[("x", &[2, 3])]));
    assert_eq!(publisher.absent_since(&id(1)), Some(TableVersion { epoch: 4, version: 2 }));
    assert_eq!(publisher.present_since(&id(2)), Some(TableVersion { epoch: 4, version: 2 }));
    assert_eq!(publisher.absent_since(&id(2)), None);
}

#[test]
fn an_instance_that_moved_is_present_from_the_version_that_leads_to_where_it_is() {
    let mut publisher = Publisher::new(fence(4, "a"));
    let before = table(&[("x", &[1, 2])]);
    publisher.publish(&before);
    let mut after = before.clone();
    after.values_mut().for_each(|route| route.endpoints[0].address = "10.0.0.9:8080".parse().expect("address"));
    publisher.publish(&after);
    assert_eq!(publisher.present_since(&id(1)), Some(TableVersion { epoch: 4, version: 2 }));
    assert_eq!(publisher.present_since(&id(2)), Some(TableVersion { epoch: 4, version: 1 }));
    assert_eq!(publisher.absent_since(&id(1)), None);
}
