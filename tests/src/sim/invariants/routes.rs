//! What is published, and what routers route by.

use dinp_common::instance::Want;
use dinp_common::name::AppName;
use dinp_common::plan::Desired;
use dinp_common::route::{Route, RouteState, RouteUpdate, TableCert, TableVersion};
use dinp_planner::promises;
use dinp_planner::table::SetHash;

use super::{LAG, World};
use crate::sim::docker::Vessel;
use crate::sim::names;
use crate::sim::server::PassData;
use crate::sim::world::node_of;

/// Routes above which a table's hash is computed anew only now and then.
const SMALL: usize = 40;

impl World {
    /// A leader has new routes. `desired` is what is stored by then.
    pub fn watch_published(&mut self, s: usize, update: &RouteUpdate, desired: &Desired, data: &PassData) {
        let cert = update.cert();
        let known = self.watch.certs.insert(key_of(cert), cert.clone());
        if known.is_some_and(|known| known != *cert) {
            self.broken("8 (a version is one table)", format!("{}/{} is two tables", cert.fence.epoch, cert.version));
        }
        let (RouteUpdate::Full { routes: put, .. } | RouteUpdate::Delta { put, .. }) = update;
        self.judge(promises::of_routes(desired, put));
        for route in put {
            self.route_leads_home(route);
            if route.endpoints.is_empty() && route.state == RouteState::Serving {
                self.nothing_else_could_serve(s, &route.app, data);
            }
        }
        self.nothing_else_is_routed(s, desired);
        self.no_app_is_missing(s);
    }

    fn route_leads_home(&mut self, route: &Route) {
        for endpoint in &route.endpoints {
            let id = &endpoint.instance;
            let lives = node_of(endpoint.address).and_then(|(n, address)| Some((self.docker[n].of(id)?.address?, address)));
            let moved = lives.filter(|(lives, routed)| lives != routed && !self.is_misplaced(id, None));
            if let Some((lives, routed)) = moved {
                let what = format!("{id} is at {lives} and is routed at {routed}");
                return self.broken("7 (no request reaches the wrong app)", what);
            }
        }
    }

    /// A route is empty only if nothing that could serve is known to run. An unhealthy one may be well again for the next
    /// request, and a page of ours never is.
    fn nothing_else_could_serve(&mut self, s: usize, app: &AppName, data: &PassData) {
        let patience = self.k.setting.policy.lost_after_ms + LAG;
        let running = self.store.tables.instances_of(app).find(|instance| {
            let known = data.desired.instances.iter().any(|other| other.id == instance.id && other.proven);
            let runs = |found: &Vessel| found.runs() && found.run == 1 && found.started + patience <= self.k.now;
            instance.want == Want::Run
                && instance.proven
                && known
                && self.vessel(&instance.id, &instance.node).is_some_and(runs)
                && self.node_is_well(names::number(instance.node.as_str()), s, patience)
        });
        let Some((id, node)) = running.map(|instance| (instance.id.clone(), instance.node.clone())) else { return };
        if self.serves_steadily(&id, &node, patience) {
            self.broken("3 (unknown is not empty)", format!("{app} has no endpoint, and {id} serves"));
        } else {
            self.broken("9 (never the last one on a health check alone)", format!("{app} has no endpoint, and {id} runs"));
        }
    }

    /// What is deleted leaves the routes.
    fn nothing_else_is_routed(&mut self, s: usize, desired: &Desired) {
        let Some(table) = self.servers[s].term.as_ref().map(|term| term.publisher().table()) else { return };
        let wanted = desired.apps.iter().filter(|app| !app.deleted).count();
        if table.len() > wanted {
            let what = format!("{} apps are routed and {wanted} are wanted", table.len());
            self.broken("8 (routes follow from what is stored)", what);
        }
    }

    fn no_app_is_missing(&mut self, s: usize) {
        let Some(table) = self.servers[s].term.as_ref().map(|term| term.publisher().table()) else { return };
        let there = |app: &&dinp_common::app::App| !app.deleted && app.live.is_some();
        if table.len() >= self.store.tables.apps.iter().filter(there).count() {
            return;
        }
        let has = |app: &AppName| table.values().any(|route| route.app == *app);
        let missing = self.store.tables.apps.iter().filter(there).find(|app| !has(&app.name)).map(|app| app.name.clone());
        if let Some(missing) = missing.filter(|_| !self.has_failed_over()) {
            self.broken("3 (unknown is not empty)", format!("{missing} is in no route, and nobody deleted it"));
        }
    }

    /// A router has another table than before.
    pub fn watch_table(&mut self, r: usize) {
        let router = &self.routers[r];
        let (Some(cert), Some(table)) = (router.applier.cert().cloned(), router.applier.table()) else { return };
        let (life, id) = (router.life, router.id.clone());
        let checked = table.len() <= SMALL || cert.version % 8 == 0;
        let whole = !checked || (table.len() as u64 == cert.count && SetHash::of(table.values()).to_hex() == cert.hash);
        let published = self.watch.certs.get(&key_of(&cert)) == Some(&cert);
        if !whole || !published {
            let what = format!("router{r} routes by {:?}: whole {whole}, published {published}", cert.at());
            return self.broken("8 (routes certify themselves)", what);
        }
        let before = self.watch.applied.insert(r, (life, cert.at())).filter(|(before, _)| *before == life);
        let least = before.map(|(_, at)| at).max(self.watch.confirmed.get(&id).copied());
        if least.is_some_and(|least| least > cert.at()) {
            let what = format!("router{r} goes from {least:?} back to {:?}", cert.at());
            self.broken("4 (routers refuse lower epochs)", what);
        }
    }

    /// A router that starts has its last good table, unless its disk has lost that.
    pub fn watch_router_starts(&mut self, r: usize) {
        let router = &self.routers[r];
        let kept = router.disk.as_ref().map(|table| table.cert().at());
        if kept > router.applier.at() {
            let what = format!("router{r} has kept {kept:?} and starts with {:?}", router.applier.at());
            self.broken("6 (routers route from their last good table)", what);
        }
    }

    /// A request finds no table at a router that has had one in this life.
    pub fn watch_unanswered(&mut self, r: usize) {
        let router = &self.routers[r];
        if let Some(at) = router.confirmed {
            let what = format!("router{r} has confirmed {at:?} and answers nothing");
            self.broken("6 (routers route from their last good table)", what);
        }
    }

    /// A router says that all of it routes by a version.
    pub fn watch_confirmed(&mut self, r: usize, at: TableVersion) {
        let id = self.routers[r].id.clone();
        self.watch.confirmed.insert(id, at);
    }
}

fn key_of(cert: &TableCert) -> (u64, String, u64) {
    (cert.fence.epoch, cert.fence.holder.clone(), cert.version)
}
