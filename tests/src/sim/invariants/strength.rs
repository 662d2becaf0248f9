//! Nothing that serves is withdrawn before what replaces it is proven and confirmed.

use std::collections::BTreeSet;

use dinp_common::app::App;
use dinp_common::deploy::{DeployPhase, Strategy};
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::plan::Change;

use super::{LAG, World};
use crate::sim::docker::Vessel;
use crate::sim::names;
use crate::sim::server::PassData;

impl World {
    pub(super) fn strength_is_kept(&mut self, s: usize, changes: &[Change], data: &PassData) {
        let moved: BTreeSet<&InstanceId> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Move { instance, .. } => Some(instance),
                _ => None,
            })
            .collect();
        if moved.is_empty() {
            return;
        }
        let apps: BTreeSet<_> =
            data.desired.instances.iter().filter(|instance| moved.contains(&instance.id)).map(|instance| &instance.app).collect();
        for name in apps {
            if let Some(app) = data.desired.app(name).filter(|app| may_not_gap(app, data)) {
                self.app_keeps_strength(s, app, &moved, data);
                self.app_keeps_its_last(s, app, &moved, data);
            }
        }
    }

    fn app_keeps_strength(&mut self, s: usize, app: &App, moved: &BTreeSet<&InstanceId>, data: &PassData) {
        let within = self.k.setting.policy.suspect_after_ms + LAG;
        let routers: Vec<usize> = self.well_routers().collect();
        let run = || data.desired.instances_of(&app.name).filter(|instance| instance.want == Want::Run && instance.proven);
        let routed = |instance: &Instance| {
            routers.iter().all(|r| {
                let ahead = self.routers[*r].applier.at().is_some_and(|at| at.epoch > data.fence.epoch);
                ahead || self.routes_to(*r, &app.name, &instance.id)
            })
        };
        let lost = run().find(|instance| {
            let vessel = self.vessel(&instance.id, &instance.node);
            let serves = vessel.is_some_and(|found| found.serves(self.k.now, self.k.calm) && !self.is_restarted(found));
            moved.contains(&instance.id) && serves && !routers.is_empty() && routed(instance)
        });
        let Some(lost) = lost else { return };
        // Of the instances that were there before, one may leave as another enters: a router takes both in one step. What a
        // deploy brings must be confirmed first.
        let brought = |instance: &Instance| {
            let deploy = data.desired.deploy(&app.name);
            let is_new = |other: &Instance| {
                deploy.is_some_and(|deploy| deploy.to == Some(other.release) && deploy.generation == other.generation)
            };
            is_new(instance) && !is_new(lost)
        };
        let published = |instance: &Instance| {
            let table = self.servers[s].term.as_ref().map(|term| term.publisher().table());
            table.is_some_and(|table| {
                table.values().flat_map(|route| &route.endpoints).any(|endpoint| endpoint.instance == instance.id)
            })
        };
        let enters = |instance: &Instance| routed(instance) || (!brought(instance) && published(instance));
        let judge = |instance: &Instance| (enters(instance), self.served_lately(&instance.id, &instance.node, within));
        let others: Vec<_> = run()
            .filter(|instance| !moved.contains(&instance.id))
            .map(|instance| (&instance.id, &instance.node, judge(instance)))
            .collect();
        let stay = others.iter().filter(|(.., judged)| *judged == (true, true)).count();
        let rolls = data.desired.deploy(&app.name).is_some_and(|deploy| deploy.phase == DeployPhase::Rollout);
        let may_miss = if rolls { self.k.setting.policy.unavailable(app.pace, app.instances) } else { 0 };
        if stay < (app.instances - may_miss) as usize {
            let what = format!(
                "{} of {} is withdrawn and {stay} of {} serve; the others, where, whether routed and healthy: {others:?}",
                lost.id, app.name, app.instances
            );
            self.broken("1, 2 (nothing that serves leaves before its replacement is proven)", what);
        }
    }
}

impl World {
    /// A health check alone takes nobody's last instance: it may be wrong, and nothing at all is worse.
    fn app_keeps_its_last(&mut self, s: usize, app: &App, moved: &BTreeSet<&InstanceId>, data: &PassData) {
        let patience = self.k.setting.policy.lost_after_ms + LAG;
        let run = || data.desired.instances_of(&app.name).filter(|instance| instance.want == Want::Run);
        let runs = |instance: &Instance| self.vessel(&instance.id, &instance.node).is_some_and(Vessel::runs);
        let steady = |instance: &&Instance| {
            let well = self.node_is_well(names::number(instance.node.as_str()), s, patience);
            let found = self.vessel(&instance.id, &instance.node);
            well && found.is_some_and(|found| found.runs() && found.run == 1 && found.started + patience <= self.k.now)
        };
        let left = run().any(|instance| {
            !moved.contains(&instance.id) && (runs(instance) || self.served_lately(&instance.id, &instance.node, patience))
        });
        let gone = run().find(|instance| moved.contains(&instance.id) && instance.proven && steady(instance));
        if let Some(gone) = gone.filter(|_| !left && app.instances > 0) {
            let what = format!("{} of {} runs and is withdrawn, and no other one runs", gone.id, app.name);
            self.broken("9 (never the last one on a health check alone)", what);
        }
    }
}

/// Whether people have not asked for less or for a gap.
fn may_not_gap(app: &App, data: &PassData) -> bool {
    let deploy = data.desired.deploy(&app.name).filter(|deploy| deploy.phase == DeployPhase::Rollout);
    let nothing_good = app.live.is_none() && deploy.is_none();
    let recreates = deploy.is_some_and(|deploy| deploy.strategy == Strategy::Recreate);
    !app.stopped && !app.deleted && !nothing_good && !recreates
}
