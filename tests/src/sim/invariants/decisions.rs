//! What a leader may store.

use std::collections::BTreeSet;

use dinp_common::deploy::DeployPhase;
use dinp_common::fence::Fence;
use dinp_common::instance::{Instance, InstanceId, Seen, Want};
use dinp_common::plan::Change;
use dinp_planner::promises;

use super::{Placed, World};
use crate::sim::kernel::{Ms, SECOND};
use crate::sim::server::PassData;

/// Time that a pass may count beyond a deadline before it ends a deploy.
const DEADLINE_SLACK: Ms = 5 * SECOND;

/// Crashes of an app's live release, counted from outside.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Crashes {
    pub(super) count: u32,
    last: Ms,
    /// What the next start waits.
    wait: Ms,
}

impl World {
    /// Before a leader's changes are stored.
    pub fn watch_commit(&mut self, s: usize, fence: &Fence, changes: &[Change], data: &PassData) {
        self.watch.counts.commits += 1;
        if fence.epoch != self.store.lease.epoch || fence.holder != self.store.lease.holder {
            let what = format!("epoch {} writes while {} holds the lease", fence.epoch, self.store.lease.epoch);
            self.broken("4 (every write proves the lease)", what);
        }
        self.judge(promises::of_changes(&data.desired, changes));
        self.nothing_is_forgotten_early(changes);
        self.only_time_that_passed(changes, data);
        self.places_are_good(changes, data);
        self.back_off_is_kept(changes, data);
        self.good_releases_start_fresh(changes);
        self.brake_holds(changes, data);
        self.strength_is_kept(s, changes, data);
        self.nothing_is_started_in_vain(s, changes, data);
        self.nothing_is_started_twice(s, changes, data);
        self.pace_is_kept(s, changes, data);
        self.starts_are_meant(changes, data);
        self.weakest_go_first(s, changes, data);
        self.moves_help(changes, data);
        self.successors_are_noted(changes);
    }

    /// What was stored.
    pub fn watch_committed(&mut self, made: &[Change]) {
        let now = self.k.now;
        for change in made {
            let counts = !matches!(change, Change::Spend { .. } | Change::Progress { .. } | Change::Backoff { .. });
            self.watch.moves += u64::from(counts);
            match change {
                Change::Place { instance, sequence } => {
                    let Instance { app, release, node, .. } = instance.clone();
                    let spec = self.store.tables.spec(&app, release).cloned();
                    let placed = Placed { app, release, spec, node, sequence: *sequence, at: now };
                    self.watch.placed.insert(instance.id.clone(), placed);
                }
                Change::Move { instance, want: Want::Drain, .. } => {
                    self.watch.drained.entry(instance.clone()).or_insert(now);
                }
                Change::Move { instance, want: Want::Stop, .. } => {
                    self.watch.stopped.entry(instance.clone()).or_insert(now);
                }
                Change::Forget { instance } => {
                    self.watch.forgotten.insert(instance.clone());
                }
                Change::Finish { .. } => self.watch.counts.deploys += 1,
                _ => {}
            }
        }
    }

    fn nothing_is_forgotten_early(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Forget { instance } = change {
                // A creation that was given up long ago may be done after all; it never runs.
                let vessel = self.docker.iter().position(|docker| docker.of(instance).is_some_and(|found| found.run > 0));
                if let Some(n) = vessel {
                    return self
                        .broken("13 (a record outlives its container)", format!("{instance} is forgotten, on node{n:02}"));
                }
            }
        }
    }

    /// Nothing is stored as older than it can be, and no deploy runs past its deadline.
    fn only_time_that_passed(&mut self, changes: &[Change], data: &PassData) {
        let most = self.k.setting.policy.pass_most_ms;
        for change in changes {
            match change {
                Change::Spend { instance, spent_ms } => {
                    let before =
                        data.desired.instances.iter().find(|other| other.id == *instance).map_or(0, |other| other.spent_ms);
                    if *spent_ms > before + most {
                        let what = format!("{instance} aged {} ms in one pass", spent_ms - before);
                        return self.broken("16 (only elapsed time decides)", what);
                    }
                }
                Change::Progress { app, deploy, spent_ms, .. } => {
                    let Some(before) = data.desired.deploy(app).filter(|before| before.number == *deploy) else { continue };
                    if *spent_ms > before.spent_ms + most {
                        let what = format!("deploy {deploy} of {app} aged {} ms in one pass", spent_ms - before.spent_ms);
                        return self.broken("16 (only elapsed time decides)", what);
                    }
                    let ends = changes.iter().any(|change| matches!(change, Change::Finish { app: other, .. } if other == app));
                    let deadline_ms = match before.phase {
                        DeployPhase::Build => self.k.setting.policy.build_deadline_ms,
                        DeployPhase::Rollout => before.deadline_ms,
                    };
                    if *spent_ms > deadline_ms + DEADLINE_SLACK && !ends {
                        let what = format!("deploy {deploy} of {app} runs {spent_ms} ms of {deadline_ms}");
                        return self.broken("2 (no deploy is ever stuck)", what);
                    }
                }
                _ => {}
            }
        }
    }

    /// What is proven good starts with a clean slate, even where people have asked for something else meanwhile.
    fn good_releases_start_fresh(&mut self, changes: &[Change]) {
        for change in changes {
            if let Change::Live { app, .. } = change {
                self.watch.crashes.remove(app);
            }
        }
    }

    /// Crashes of the live release are counted here, and starts after them wait.
    fn back_off_is_kept(&mut self, changes: &[Change], data: &PassData) {
        let (now, policy) = (self.k.now, self.k.setting.policy.clone());
        for app in &data.desired.apps {
            let ended = |instance: &InstanceId| {
                let of_live = |other: &&Instance| {
                    other.id == *instance
                        && other.app == app.name
                        && other.want == Want::Run
                        && (Some(other.release), other.generation) == (app.live, app.generation)
                };
                data.desired.instances.iter().find(of_live).is_some_and(|other| {
                    let seen = data.report(&other.id, &other.node).map(|report| &report.seen);
                    matches!(seen, Some(Seen::Exited { .. } | Seen::Failed { .. }))
                })
            };
            let newly_ended = changes.iter().filter_map(|change| match change {
                Change::Move { instance, .. } if ended(instance) => Some(instance),
                _ => None,
            });
            // What is decided again, since nobody knows what became of the commit, is one crash.
            let crashed = newly_ended.filter(|instance| self.watch.crashed.insert((*instance).clone())).count() > 0;
            let known = self.watch.crashes.get(&app.name).copied().unwrap_or_default();
            let wait = known.wait;
            let places = changes.iter().any(|change| {
                matches!(change, Change::Place { instance, .. } if instance.app == app.name
                    && (Some(instance.release), instance.generation) == (app.live, app.generation))
            });
            // A wait of under two passes may be over by the time that they have counted.
            if places && known.count > 0 && known.last + wait.saturating_sub(2 * policy.pass_most_ms) > now {
                let what = format!("{} is started {} ms after crash {}, not {wait}", app.name, now - known.last, known.count);
                return self.broken("12 (crash loops back off)", what);
            }
            if crashed {
                let calm = known.last + policy.backoff_calm_ms * 9 / 10 < now;
                let count = if calm { 1 } else { known.count + 1 };
                let wait = policy.backoff_ms(count, app.instances);
                self.watch.crashes.insert(app.name.clone(), Crashes { count, last: now, wait });
            }
        }
    }

    /// While so many nodes are lost that the fault is ours, nothing of theirs is replaced.
    fn brake_holds(&mut self, changes: &[Change], data: &PassData) {
        let policy = &self.k.setting.policy;
        let silent = |node: &dinp_common::node::Node| match data.observed.nodes.get(&node.name) {
            None => data.leading_ms >= policy.lost_after_ms,
            // It has its whole time under each leader.
            Some(seen) => seen.silent_ms.min(data.leading_ms) >= policy.lost_after_ms,
        };
        let nodes = &data.desired.nodes;
        let lost: BTreeSet<_> = nodes.iter().filter(|node| silent(node)).map(|node| &node.name).collect();
        let many = lost.len() > 1 || lost.len() == nodes.len();
        if lost.is_empty() || !many || lost.len() * 100 < nodes.len() * policy.mass_loss_percent as usize {
            return;
        }
        for change in changes {
            let Change::Move { instance, .. } = change else { continue };
            let Some(instance) = data.desired.instances.iter().find(|other| other.id == *instance) else { continue };
            let Some(app) = data.desired.app(&instance.app) else { continue };
            let wanted = data.desired.instances_of(&app.name).filter(|other| other.want == Want::Run).count();
            let asked_for = app.stopped || app.deleted || app.live.is_none() || wanted > app.instances as usize;
            if instance.want == Want::Run
                && lost.contains(&instance.node)
                && !asked_for
                && data.desired.deploy(&app.name).is_none()
            {
                let what = format!(
                    "{} on {} is given up while {} of {} nodes are lost",
                    instance.id,
                    instance.node,
                    lost.len(),
                    nodes.len()
                );
                return self.broken("11 (mass loss brakes)", what);
            }
        }
    }
}
