//! Nothing is started that is not missing, and nothing twice.

use std::collections::BTreeSet;

use dinp_common::deploy::{Deploy, DeployNo, DeployPhase, Strategy};
use dinp_common::instance::{Instance, InstanceId, Seen, Want};
use dinp_common::name::AppName;
use dinp_common::plan::Change;

use super::{LAG, World, balance};
use crate::sim::kernel::{Ms, SECOND};
use crate::sim::names;
use crate::sim::server::PassData;

/// How long after its record an instance may have no container yet and still be on its way.
const ON_ITS_WAY: Ms = 5 * SECOND;
/// Passes that may take back within so long what was started within so long, beside one for each instance that is wanted:
/// what stands in for lost ones goes one by one as others serve, and a deploy that ends takes all back at once.
const TAKEN_BACK_MOST: u32 = 5;
const TAKEN_BACK_WITHIN: Ms = 30 * SECOND;

/// Passes that have taken back what had just been started of an app, under one deploy or none.
#[derive(Debug, Clone, Copy)]
pub(super) struct TakenBack {
    deploy: Option<DeployNo>,
    since: Ms,
    passes: u32,
}

impl World {
    /// No instance is started while as many as are wanted serve steadily on nodes that nothing ails.
    pub(super) fn nothing_is_started_in_vain(&mut self, s: usize, changes: &[Change], data: &PassData) {
        let lost_after = self.k.setting.policy.lost_after_ms;
        let patience = lost_after + LAG;
        // Until each node has had its time under this leader, the leader waits for it.
        let unheard = self.watch.led.get(&s).is_some_and(|led| led + lost_after > self.k.now);
        for new in placed(changes).filter(|new| !balance::is_successor(new, changes)) {
            let Some(app) = data.desired.app(&new.app).filter(|app| app.live.is_some()) else { continue };
            if data.desired.deploy(&app.name).is_some() || self.store.tables.deploy(&app.name).is_some() {
                continue;
            }
            // Meanwhile it may know by a report that one is ill, so its agent must have had nothing to tell but good.
            let heard = |n: usize| match unheard {
                true => self.nodes[n].well_since + patience <= self.k.now && self.node_is_well(n, s, 0),
                false => self.node_is_heard(n, s, patience),
            };
            let steady = self.store.tables.instances_of(&app.name).filter(|other| {
                let n = names::number(other.node.as_str());
                other.want == Want::Run
                    && (Some(other.release), other.generation) == (app.live, app.generation)
                    && !is_leaving(other, data)
                    && !self.is_being_stopped(n, &other.id)
                    && self.serves_steadily(&other.id, &other.node, patience)
                    && heard(n)
            });
            let steady = steady.count();
            if steady >= app.instances as usize {
                let what = format!("{} of {} is started beside {steady} that serve", new.id, app.name);
                return self.broken("4, 9 (nothing well is replaced)", what);
            }
        }
    }

    /// What was placed a moment ago counts, whether anybody has heard of it or not.
    pub(super) fn nothing_is_started_twice(&mut self, s: usize, changes: &[Change], data: &PassData) {
        let moved =
            |id: &InstanceId| changes.iter().any(|change| matches!(change, Change::Move { instance, .. } if instance == id));
        for new in placed(changes).filter(|new| !balance::is_successor(new, changes)) {
            if self.watch.placed.contains_key(&new.id) {
                let what = format!("{} was placed before, and is placed again for {}", new.id, new.app);
                return self.broken("5 (an instance is placed once)", what);
            }
            let Some(app) = data.desired.app(&new.app) else { continue };
            let is_like = |other: &&Instance| (other.release, other.generation) == (new.release, new.generation);
            let sound = self.store.tables.instances_of(&app.name).filter(is_like);
            let sound = sound.filter(|other| !moved(&other.id) && !is_leaving(other, data) && self.is_sound(other, s)).count();
            if sound >= app.instances as usize {
                let what = format!("{} of {} {} is started beside {sound} that start or serve", new.id, app.name, new.release);
                return self.broken("5 (nothing is started twice)", what);
            }
        }
    }

    /// A rolling deploy has no more instances at once than its app's pace lets it, or a drain.
    pub(super) fn pace_is_kept(&mut self, s: usize, changes: &[Change], data: &PassData) {
        let moved =
            |id: &InstanceId| changes.iter().any(|change| matches!(change, Change::Move { instance, .. } if instance == id));
        for app in &data.desired.apps {
            let rolls = |deploy: &&Deploy| deploy.phase == DeployPhase::Rollout && deploy.strategy == Strategy::Rolling;
            let Some(deploy) = data.desired.deploy(&app.name).filter(rolls) else { continue };
            let placed: Vec<&Instance> = placed(changes).filter(|new| new.app == app.name).collect();
            // What stands in for a lost one of the live release may be too much for a while.
            if !placed.iter().any(|new| (Some(new.release), new.generation) == (deploy.to, deploy.generation)) {
                continue;
            }
            let sound = data.desired.instances_of(&app.name).filter(|other| !moved(&other.id) && self.is_sound(other, s)).count();
            let policy = &self.k.setting.policy;
            let more = policy.surge(app.pace, app.instances).max(policy.drain_at_once(app.instances));
            if sound + placed.len() > (app.instances + more) as usize {
                let (name, new) = (&app.name, placed.len());
                let what = format!("{new} of {name} are started beside {sound}, {} and {more} more are allowed", app.instances);
                return self.broken("2 (no more at once than its pace lets)", what);
            }
        }
    }

    /// What only starts is not taken back again and again, with nothing new that asks for it.
    pub(super) fn starts_are_meant(&mut self, changes: &[Change], data: &PassData) {
        let now = self.k.now;
        let taken_back = |instance: &Instance| {
            let seen = data.report(&instance.id, &instance.node).map(|report| &report.seen);
            let ended = matches!(seen, Some(Seen::Exited { .. } | Seen::Failed { .. } | Seen::Gone));
            let just = self.watch.placed.get(&instance.id).is_some_and(|placed| placed.at + TAKEN_BACK_WITHIN > now);
            instance.want == Want::Run && !instance.proven && !ended && just && !self.is_called_off(&instance.id)
        };
        let moved = changes.iter().filter_map(|change| match change {
            Change::Move { instance, .. } => data.desired.instances.iter().find(|other| other.id == *instance),
            _ => None,
        });
        let apps: BTreeSet<AppName> =
            moved.filter(|instance| taken_back(instance)).map(|instance| instance.app.clone()).collect();
        for app in apps {
            let deploy = data.desired.deploy(&app).map(|deploy| deploy.number);
            let fresh = TakenBack { deploy, since: now, passes: 0 };
            let known = self.watch.taken_back.get(&app).copied();
            let known = known.filter(|known| known.deploy == deploy && known.since + TAKEN_BACK_WITHIN > now).unwrap_or(fresh);
            let passes = known.passes + 1;
            self.watch.taken_back.insert(app.clone(), TakenBack { passes, ..known });
            let wanted = data.desired.app(&app).map_or(0, |app| app.instances);
            if passes > wanted + TAKEN_BACK_MOST {
                let what = format!("{passes} passes in a row have taken back what had just been started of {app}");
                return self.broken("rest (what is started is meant)", what);
            }
        }
    }

    /// It is to run, nobody can think it ended or lost, and it serves if it ever did.
    fn is_sound(&self, other: &Instance, s: usize) -> bool {
        let patience = self.k.setting.policy.lost_after_ms + LAG;
        let n = names::number(other.node.as_str());
        if other.want != Want::Run || self.is_being_stopped(n, &other.id) || !self.node_is_well(n, s, patience) {
            return false;
        }
        if other.proven {
            return self.serves_steadily(&other.id, &other.node, patience);
        }
        let placed = self.watch.placed.get(&other.id).is_some_and(|placed| placed.at + ON_ITS_WAY > self.k.now);
        // One that ends, or cannot be made, is soon taken back.
        placed && self.vessel(&other.id, &other.node).is_none_or(|found| found.run == 0 || found.runs())
    }
}

fn placed(changes: &[Change]) -> impl Iterator<Item = &Instance> {
    changes.iter().filter_map(|change| match change {
        Change::Place { instance, .. } => Some(instance),
        _ => None,
    })
}

fn is_leaving(instance: &Instance, data: &PassData) -> bool {
    balance::moves(&instance.id, data) || data.desired.nodes.iter().any(|other| other.name == instance.node && other.draining)
}
