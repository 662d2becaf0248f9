//! What nothing stands in the way of goes on, whatever ails others.

use dinp_common::app::App;
use dinp_common::deploy::{Deploy, DeployPhase, Strategy};
use dinp_common::instance::{Instance, Want};
use dinp_common::release::ReleaseNo;

use super::World;
use super::engine::Later;
use crate::sim::event::Event;
use crate::sim::kernel::{Ms, SECOND};
use crate::sim::names;
use crate::sim::net::Place;
use crate::sim::setting::meets;

const LOOK_EVERY: Ms = 10 * SECOND;
/// Looks in a row: a pass a second decides, and what ends is replaced.
const LOOKS: u32 = 3;
/// How long nothing may have ailed whoever has to act.
const STEADY: Ms = 15 * SECOND;

impl World {
    pub fn watch_progress(&mut self) {
        self.k.after(LOOK_EVERY, Event::Later(Later::Progress));
        let warm = self.k.setting.policy.lost_after_ms + STEADY;
        let Some(s) = self.steady_leader(warm).filter(|s| self.hears_nearly_all(*s)) else {
            return self.watch.lacking.clear();
        };
        let apps: Vec<App> = self.store.tables.apps.iter().filter(|app| !app.stopped && !app.deleted).cloned().collect();
        for app in apps {
            let lacks = self.lacks(&app, s);
            let looks = self.watch.lacking.entry(app.name.clone()).or_default();
            *looks = if lacks.is_some() { *looks + 1 } else { 0 };
            if let Some(what) = lacks.filter(|_| *looks == LOOKS) {
                let crashed = self.watch.crashes.get(&app.name).is_some_and(|crashes| crashes.count > 0);
                let promise = match self.store.tables.deploy(&app.name) {
                    None if crashed => "12 (a good release heals at once)",
                    _ => "10 (nobody waits for another's trouble)",
                };
                return self.broken(promise, what);
            }
        }
    }

    /// Who leads, has led for so long, and has had nothing in its way for a while.
    pub(super) fn steady_leader(&self, led_for: Ms) -> Option<usize> {
        let (now, faults) = (self.k.now, &self.k.setting.faults);
        let store = &self.store;
        let answers = !store.down && !store.hung && store.slow == 0 && store.locked_until <= now;
        if faults.clocks || faults.store_permille > 0 || !answers || self.watch.store_well_since + STEADY > now {
            return None;
        }
        let steady = |s: &usize| {
            let server = &self.servers[*s];
            let well =
                server.well_since.max(server.frozen_until) + STEADY <= now && self.k.net.is_open(Place::Server(*s), Place::Store);
            let led = self.watch.led.get(s).is_some_and(|led| led + STEADY.max(led_for) <= now);
            well && led && server.acting(now).is_some()
        };
        (0..self.servers.len()).find(steady)
    }

    /// So many nodes that nobody can take it for a mass loss.
    fn hears_nearly_all(&self, s: usize) -> bool {
        let unheard = (0..self.nodes.len()).filter(|n| !self.node_is_heard(*n, s, STEADY)).count();
        unheard == 0 || (unheard == 1 && self.nodes.len() > 2)
    }

    /// What should have been started by now.
    fn lacks(&self, app: &App, s: usize) -> Option<String> {
        let deploy = self.store.tables.deploy(&app.name);
        let run = || self.store.tables.instances_of(&app.name).filter(|instance| instance.want == Want::Run);
        match deploy.filter(|deploy| deploy.phase == DeployPhase::Rollout) {
            Some(deploy) if (deploy.to, deploy.generation) != (app.live, app.generation) => {
                let of_it = |instance: &Instance| (Some(instance.release), instance.generation) == (deploy.to, deploy.generation);
                let goes_on = deploy.paused.is_none() && deploy.strategy == Strategy::Rolling && app.instances > 0;
                let none = !run().any(of_it);
                // What is too much of older releases makes room only once routers have confirmed it, by way of Redis. Where
                // there is none to confirm, nothing is withdrawn.
                let heard = self.k.net.is_open(Place::Server(s), Place::Redis);
                let recorded = self.store.tables.routers.len();
                let routed = heard && recorded > 0 && self.well_routers().count() == recorded;
                let lacks = goes_on && none && routed && self.has_room(app, deploy.to?, deploy.generation, s);
                lacks.then(|| format!("nothing of {} {} is started, and there is room", app.name, named(deploy)))
            }
            Some(deploy) if deploy.paused.is_some() => None,
            _ => {
                // A wait is in order that is no longer than its crashes call for.
                let most = self.k.setting.policy.backoff_ms(app.backoff.crashes, 1);
                let waits = (1..=most).contains(&app.backoff.wait_ms);
                let (there, wanted) = (run().count(), app.instances as usize);
                let lacks = there < wanted && !waits && self.has_room(app, app.live?, app.generation, s);
                lacks.then(|| format!("{} has {there} of {wanted} instances, and there is room", app.name))
            }
        }
    }

    /// A node that nothing ails could take one more.
    fn has_room(&self, app: &App, release: ReleaseNo, generation: u32, s: usize) -> bool {
        let tables = &self.store.tables;
        let Some(spec) = tables.spec(&app.name, release) else { return false };
        let cpu = |cpu: Option<dinp_common::size::Cpu>| cpu.map_or(0, |cpu| u64::from(cpu.0));
        tables.nodes.iter().any(|node| {
            let n = names::number(node.name.as_str());
            let here = || tables.instances.iter().filter(|instance| instance.node == node.name);
            let specs = || here().filter_map(|instance| tables.spec(&instance.app, instance.release));
            let is_like = |other: &&Instance| (&other.app, other.release, other.generation) == (&app.name, release, generation);
            !node.cordoned
                && self.node_is_well(n, s, STEADY)
                && self.servers[s].trusts(&node.name, self.k.now, &self.k.setting.policy)
                && meets(&spec.placement, &self.nodes[n].facts)
                && spec.placement.per_node.is_none_or(|most| here().filter(is_like).count() < most as usize)
                && here().count() < self.nodes[n].addresses() as usize
                && specs().map(|spec| spec.memory.0).sum::<u64>() + spec.memory.0 <= self.k.setting.memory.0
                && specs().map(|spec| cpu(spec.cpu)).sum::<u64>() + cpu(spec.cpu) <= u64::from(self.k.setting.cpus) * 1_000
        })
    }
}

fn named(deploy: &Deploy) -> String {
    deploy.to.map_or_else(String::new, |to| format!("{to} of deploy {}", deploy.number))
}
