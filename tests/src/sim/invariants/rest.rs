//! Once the faults are over, everything that is wanted is there, and nothing is left to decide.

use dinp_common::app::{App, Backoff};
use dinp_common::instance::{InstanceId, Want};

use super::World;
use crate::sim::docker::Vessel;
use crate::sim::event::Event;
use crate::sim::kernel::{MINUTE, Ms, SECOND};
use crate::sim::names;

/// The longest way to rest: a deadline, a back-off and a hung start, one after the other, with what they lead to.
const REST_WITHIN: Ms = 25 * MINUTE;
const LOOK_EVERY: Ms = 10 * SECOND;
/// Passes come once a second.
const PASSES: Ms = 100 * SECOND;

impl World {
    pub(in crate::sim) fn watch_rest(&mut self) {
        let now = self.k.now;
        let left = self.left_to_do();
        self.k.after(LOOK_EVERY, Event::Rest);
        match (&left, self.watch.rest) {
            (None, None) => {
                self.watch.rest = Some((now, self.watch.moves));
                self.watch.counts.rest_ms = now - self.watch.calm_since;
            }
            (None, Some((since, moves))) => {
                if self.watch.moves != moves {
                    self.broken("rest (nothing is decided when there is nothing to do)", "something was decided".to_owned());
                }
                self.done = now >= since + PASSES;
            }
            (Some(what), Some(_)) => self.broken("rest (what has converged stays)", what.clone()),
            (Some(what), None) => {
                if now > self.watch.calm_since + REST_WITHIN {
                    self.broken("rest (converged once the faults are over)", what.clone());
                }
            }
        }
    }

    /// What is not as it is wanted, if something is not.
    fn left_to_do(&self) -> Option<String> {
        if let Some(deploy) = self.store.tables.deploys.first() {
            return Some(format!("deploy {} of {} runs", deploy.number, deploy.app));
        }
        if let Some(rebalance) = self.store.tables.rebalancing() {
            return Some(format!("a rebalance goes on: {rebalance:?}"));
        }
        for app in &self.store.tables.apps {
            if let Some(what) = self.app_left(app) {
                return Some(what);
            }
        }
        let leader = (0..self.servers.len()).find(|s| self.servers[*s].acting(self.k.now).is_some());
        if leader.is_none() || !self.redis.is_whole() {
            return Some(format!("server {leader:?} leads, and Redis holds {:?}", self.redis.cert));
        }
        // A rebalance that begins by itself may wait for a node to be trusted again, or for an app to be calm.
        let policy = &self.k.setting.policy;
        let trusts = |name| leader.is_some_and(|s| self.servers[s].trusts(name, self.k.now, policy));
        if let Some(node) = self.store.tables.nodes.iter().find(|node| policy.rebalance_on_join && !trusts(&node.name)) {
            return Some(format!("{} is not trusted again", node.name));
        }
        let crashed = |app: &&App| policy.rebalance_on_join && app.backoff != Backoff::default();
        if let Some(app) = self.store.tables.apps.iter().find(crashed) {
            return Some(format!("{} has crashed of late", app.name));
        }
        for (n, docker) in self.docker.iter().enumerate() {
            if docker.boxes.values().filter(|found| found.of.is_none()).count() != 4 {
                return Some(format!("something foreign is missing on node{n:02}"));
            }
            let recorded = |id: &InstanceId| self.store.tables.instances.iter().any(|instance| instance.id == *id);
            // A creation that Docker did long after it was given up is a stray that never ran.
            let ran = |found: &&Vessel| found.run > 0;
            // What a lost tail has forgotten keeps running, and is shown.
            let placed = |id: &InstanceId| self.watch.placed.get(id).map(|placed| placed.at);
            let forgot = |id: &InstanceId| self.watch.tail_lost.is_some_and(|at| placed(id) <= Some(at));
            let is_stray = |id: &InstanceId| !recorded(id) && !forgot(id);
            let mut ours = docker.boxes.values().filter(ran).filter_map(|found| Some((found, found.of.as_ref()?)));
            if let Some((stray, _)) = ours.find(|(_, of)| is_stray(&of.instance)) {
                return Some(format!("{} is left on node{n:02}", stray.name));
            }
        }
        None
    }

    fn app_left(&self, app: &App) -> Option<String> {
        let name = &app.name;
        if app.deleted {
            return Some(format!("{name} is deleted and not erased"));
        }
        let wanted = if app.stopped || app.live.is_none() { 0 } else { app.instances as usize };
        let all: Vec<_> = self.store.tables.instances_of(name).collect();
        if all.len() != wanted {
            let wants: Vec<String> = all.iter().map(|instance| format!("{} {:?}", instance.id, instance.want)).collect();
            return Some(format!("{name} has {wants:?} of {wanted}"));
        }
        for instance in all {
            let right = (Some(instance.release), instance.generation) == (app.live, app.generation);
            let serves = self.vessel(&instance.id, &instance.node).is_some_and(|found| found.serves(self.k.now, true));
            if !right || !serves || instance.want != Want::Run || !instance.proven {
                return Some(format!("{} of {name} is not what is wanted: {instance:?}, serves {serves}", instance.id));
            }
            if let Some(r) = (0..self.routers.len()).find(|r| !self.routes_to(*r, name, &instance.id)) {
                return Some(format!("router{r} does not route to {} of {name}", instance.id));
            }
        }
        let host = format!("{name}.{}", names::domain());
        let more = self.routers.iter().position(|router| {
            let table = router.applier.table();
            table.is_none_or(|table| !table.values().any(|route| route.host.as_str() == host && route.endpoints.len() == wanted))
        });
        more.map(|r| format!("router{r} has other routes for {name} than are wanted"))
    }
}
