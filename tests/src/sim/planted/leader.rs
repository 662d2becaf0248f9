//! Bugs of a leader: in what it reads, what it decides, and what it lets follow.

use std::borrow::Cow;

use dinp_common::deploy::{DeployState, Strategy};
use dinp_common::exit::Exit;
use dinp_common::health::Health;
use dinp_common::instance::{Instance, Seen, Want};
use dinp_common::name::AppName;
use dinp_common::plan::{Change, Desired};
use dinp_common::release::ReleaseNo;
use dinp_common::route::{RouteUpdate, TableVersion};
use dinp_common::wire::{Assignments, InstanceReport};
use dinp_planner::observed::Observed;
use dinp_planner::plan::Plan;
use dinp_planner::policy::Policy;

use super::Planted;
use crate::sim::kernel::Kernel;
use crate::sim::names;
use crate::sim::server::PassData;
use crate::sim::world::World;

impl Kernel {
    /// The numbers a leader decides by.
    pub(in crate::sim) fn policy(&self) -> Policy {
        let policy = self.setting.policy.clone();
        match self.planted {
            Some(Planted::NoBrake) => Policy { mass_loss_percent: 1_000, ..policy },
            Some(Planted::TimeUnbounded) => Policy { pass_most_ms: u64::MAX, ..policy },
            Some(Planted::MovesForNothing) => Policy { rebalance_gain_percent: 0, ..policy },
            Some(Planted::HealsLate) => Policy { backoff_free_crashes: 0, backoff_first_ms: 60_000, ..policy },
            Some(Planted::ImpatientWithNodes) => Policy { suspect_after_ms: 500, lost_after_ms: 900, ..policy },
            // Longer than from pass to pass, which is no outage. Whom it has heard counts as heard until the real number is
            // over: see `twist_input`.
            Some(Planted::NoWarmUp) => Policy { lost_after_ms: 1_100, ..policy },
            _ => policy,
        }
    }
}

impl World {
    pub(in crate::sim) fn twist_input(&mut self, desired: &mut Desired, observed: &mut Observed) {
        let now_and_then = self.k.planted.is_some() && self.k.chance(50);
        match self.k.planted {
            Some(Planted::PartialLoad) if now_and_then => {
                let half = desired.instances.len() / 2;
                desired.instances.truncate(half);
            }
            Some(Planted::PartialApps) if now_and_then => {
                let half = desired.apps.len() / 2;
                desired.apps.truncate(half);
            }
            Some(Planted::UnmentionedIsDead) => {
                for instance in &desired.instances {
                    let Some(node) = observed.nodes.get_mut(&instance.node) else { continue };
                    let exit = Exit { code: 137, oom: false, output: String::new() };
                    if node.instances.contains_key(&instance.id) {
                        continue;
                    }
                    let report = InstanceReport {
                        app: instance.app.clone(),
                        release: instance.release,
                        seen: Seen::Exited { exit },
                        listening: Vec::new(),
                        restarts: 0,
                    };
                    node.instances.insert(instance.id.clone(), report);
                }
            }
            Some(Planted::NoWarmUp) => {
                let lost_after_ms = self.k.setting.policy.lost_after_ms;
                let heard = observed.nodes.values_mut().filter(|node| node.silent_ms < lost_after_ms);
                heard.for_each(|node| node.silent_ms = 0);
            }
            Some(Planted::InFlightIgnored) => observed.routers.values_mut().for_each(|router| router.in_flight.clear()),
            Some(Planted::NoBackOff) => desired.apps.iter_mut().for_each(|app| app.backoff = Default::default()),
            _ => {}
        }
    }

    /// What a decision reads instead of what is; what follows from it is made of what is.
    pub(in crate::sim) fn twist_read(&self, desired: &Desired, observed: &Observed) -> Option<(Desired, Observed)> {
        let (mut desired, mut observed) = (self.k.planted.map(|_| desired.clone())?, observed.clone());
        let seen =
            |instance: &Instance| observed.nodes.get(&instance.node)?.instances.get(&instance.id).map(|report| &report.seen);
        match self.k.planted? {
            Planted::StartsForgotten => {
                let known: Vec<bool> = desired.instances.iter().map(|one| one.proven || seen(one).is_some()).collect();
                let mut known = known.into_iter();
                desired.instances.retain(|_| known.next() == Some(true));
            }
            Planted::MemoryFreedEarly => {
                desired.instances.retain(|one| one.want != Want::Stop || seen(one) == Some(&Seen::Gone));
            }
            Planted::PlacementIgnored => {
                desired.releases.values_mut().for_each(|release| release.spec.placement = Default::default());
            }
            Planted::CordonIgnored => desired.nodes.iter_mut().for_each(|node| node.cordoned = false),
            Planted::PaceIgnored => desired.apps.iter_mut().for_each(|app| app.pace = Default::default()),
            Planted::PauseIgnored => desired.deploys.iter_mut().for_each(|deploy| deploy.paused = None),
            Planted::DockerErrorIsLoss => {
                let silent = observed.nodes.values_mut().filter(|node| node.facts.docker.is_err());
                silent.for_each(|node| node.silent_ms = u64::MAX / 2);
            }
            Planted::SickAreDead => sick_end(&mut observed),
            _ => return None,
        }
        Some((desired, observed))
    }

    /// Whether a leader makes no pass now.
    pub(in crate::sim) fn skips_pass(&self, observed: &Observed) -> bool {
        self.k.is_planted(Planted::HungDockerStopsAll) && observed.nodes.values().any(|node| node.facts.docker.is_err())
    }

    pub(in crate::sim) fn twist_confirmed(&self, observed: &mut Observed, at: TableVersion) {
        if self.k.is_planted(Planted::DrainNotConfirmed) {
            observed.routers.values_mut().for_each(|router| {
                router.confirmed = Some(at);
                router.silent_ms = 0;
            });
        }
    }

    pub(in crate::sim) fn twist_plan(&mut self, desired: &Desired, observed: &Observed, plan: &mut Plan) {
        let Plan { changes, holds, .. } = plan;
        let leaves = |instance: &dinp_common::instance::Instance, want| Change::Move {
            instance: instance.id.clone(),
            want,
            reason: "planted".to_owned(),
        };
        match self.k.planted {
            Some(Planted::WithdrawBeforeProven) => {
                let rolling: Vec<_> = desired.deploys.iter().filter(|deploy| deploy.strategy == Strategy::Rolling).collect();
                let placed = changes.iter().filter_map(|change| match change {
                    Change::Place { instance, .. } => Some(instance.clone()),
                    _ => None,
                });
                for new in placed.collect::<Vec<_>>() {
                    let replaced = rolling.iter().any(|deploy| deploy.app == new.app && deploy.to == Some(new.release));
                    let old = desired
                        .instances_of(&new.app)
                        .filter(|old| replaced && old.release != new.release && old.want == Want::Run);
                    let old: Vec<_> =
                        old.filter(|old| !is_decided(changes, &old.id)).map(|old| leaves(old, Want::Drain)).collect();
                    changes.extend(old);
                }
            }
            Some(Planted::FailureKillsAll) => {
                let failed = changes.iter().filter_map(|change| match change {
                    Change::Finish { app, state: DeployState::Failed, .. } => Some(app.clone()),
                    _ => None,
                });
                let failed: Vec<_> = failed.collect();
                let all =
                    desired.instances.iter().filter(|instance| failed.contains(&instance.app) && instance.want == Want::Run);
                let all: Vec<_> = all.filter(|old| !is_decided(changes, &old.id)).map(|old| leaves(old, Want::Drain)).collect();
                changes.extend(all);
            }
            Some(Planted::MovedBeforeProven) => move_at_once(desired, changes),
            Some(Planted::MovesForgotten) => forget_moves(changes),
            Some(Planted::StopWithoutDrain) => changes.iter_mut().for_each(|change| {
                if let Change::Move { want, .. } = change {
                    *want = Want::Stop;
                }
            }),
            Some(Planted::DeployNeverFails) => {
                changes.retain(|change| !matches!(change, Change::Finish { state: DeployState::Failed, .. }));
            }
            Some(Planted::NoBackOff) => changes.retain(|change| !matches!(change, Change::Backoff { .. })),
            Some(Planted::NeverForgotten) => changes.retain(|change| !matches!(change, Change::Forget { .. })),
            Some(Planted::AllOrNothing) => {
                let short = |app: &AppName| holds.get(app).is_some_and(|why| why.iter().any(|why| why.starts_with("no room")));
                changes.retain(|change| !matches!(change, Change::Place { instance, .. } if short(&instance.app)));
            }
            Some(Planted::ReasonsLost) => changes.iter_mut().for_each(|change| {
                if let Change::Move { reason, .. } = change {
                    reason.clear();
                }
            }),
            Some(Planted::DeletedForgotten) => {
                let deleted = |app: &AppName| desired.app(app).is_some_and(|app| app.deleted);
                let all = desired.instances.iter().filter(|instance| deleted(&instance.app));
                let all: Vec<_> = all.filter(|instance| !is_decided(changes, &instance.id)).collect();
                changes.extend(all.into_iter().map(|instance| Change::Forget { instance: instance.id.clone() }));
            }
            Some(Planted::ExcessAtRandom) => self.excess_at_random(desired, changes),
            Some(Planted::StartsTakenBack) => {
                let starts = |one: &&Instance| {
                    !one.proven && one.want == Want::Run && desired.deploy(&one.app).is_some() && !is_decided(changes, &one.id)
                };
                let all: Vec<_> = desired.instances.iter().filter(starts).map(|one| leaves(one, Want::Stop)).collect();
                changes.extend(all);
            }
            Some(Planted::ForgottenEarly) => {
                let gone = |instance: &&dinp_common::instance::Instance| {
                    let report = observed.nodes.get(&instance.node).and_then(|node| node.instances.get(&instance.id));
                    instance.want == Want::Stop && report.is_some_and(|report| report.seen == Seen::Gone)
                };
                let gone = desired.instances.iter().filter(gone).filter(|instance| !is_decided(changes, &instance.id));
                let gone: Vec<_> = gone.map(|instance| Change::Forget { instance: instance.id.clone() }).collect();
                changes.extend(gone);
            }
            _ => {}
        }
    }

    fn excess_at_random(&mut self, desired: &Desired, changes: &mut [Change]) {
        for at in 0..changes.len() {
            let Change::Move { instance, reason, .. } = &changes[at] else { continue };
            let Some(leaving) = desired.instances.iter().find(|other| other.id == *instance) else { continue };
            if !reason.starts_with("only ") {
                continue;
            }
            let others = desired.instances_of(&leaving.app).filter(|other| other.want == Want::Run);
            let others: Vec<_> = others.filter(|other| !is_decided(changes, &other.id)).collect();
            if !others.is_empty() {
                let other = others[self.k.rng.usize(..others.len())].id.clone();
                if let Change::Move { instance, .. } = &mut changes[at] {
                    *instance = other;
                }
            }
        }
    }

    /// What routes are made from, after everything was decided.
    pub(in crate::sim) fn twist_routes(&self, observed: &mut Cow<'_, Observed>) {
        if self.k.is_planted(Planted::SickLeaveRoutes) {
            sick_end(observed.to_mut());
        }
    }

    /// What follows from what is stored: its routes, with those of apps that are being deleted where a bug keeps them.
    pub(in crate::sim) fn follow(
        &mut self,
        s: usize,
        data: &PassData,
        desired: &mut Desired,
        observed: &Observed,
    ) -> Option<RouteUpdate> {
        let (policy, keeps) = (self.k.policy(), self.k.is_planted(Planted::DeletedStaysRouted));
        let deleted: Vec<AppName> = desired.apps.iter().filter(|app| app.deleted && keeps).map(|app| app.name.clone()).collect();
        let mark = |desired: &mut Desired, is: bool| {
            desired.apps.iter_mut().filter(|app| deleted.contains(&app.name)).for_each(|app| app.deleted = is);
        };
        mark(desired, false);
        let term = self.servers[s].term.as_mut()?;
        let update = term.stored(&data.decided, desired, observed, &names::domain(), &policy);
        mark(desired, true);
        update
    }

    pub(in crate::sim) fn twist_level(&mut self, level: &mut Assignments, observed: &Observed) {
        match self.k.planted {
            Some(Planted::DrainIsStop) => {
                level
                    .instances
                    .iter_mut()
                    .filter(|wanted| wanted.want == Want::Drain)
                    .for_each(|wanted| wanted.want = Want::Stop);
            }
            Some(Planted::OldSpecRuns) => level.instances.iter_mut().for_each(|wanted| {
                let before = ReleaseNo(wanted.release.0 - 1);
                if let Some(spec) = self.store.tables.spec(&wanted.app, before) {
                    wanted.spec = spec.clone();
                }
            }),
            Some(Planted::QuarantineSkipped) => {
                level.released = observed.nodes.values().flat_map(|node| node.cooling.clone()).collect();
            }
            _ => {}
        }
    }
}

/// Whatever is to move leaves, its successor proven or not.
fn move_at_once(desired: &Desired, changes: &mut Vec<Change>) {
    let moving = changes.iter().filter_map(|change| match change {
        Change::Rebalance(state) => Some(state.under_way().map(|moving| moving.instance.clone())),
        _ => None,
    });
    let moving: Vec<_> = moving.flatten().collect();
    let old = desired.instances.iter().filter(|old| old.want == Want::Run && moving.contains(&old.id));
    let old: Vec<_> = old.filter(|old| !is_decided(changes, &old.id)).map(|old| old.id.clone()).collect();
    let leaves = |instance| Change::Move { instance, want: Want::Drain, reason: "planted".to_owned() };
    changes.extend(old.into_iter().map(leaves));
}

fn forget_moves(changes: &mut [Change]) {
    for change in changes {
        if let Change::Rebalance(state) = change {
            state.moves.clear();
        }
    }
}

fn is_decided(changes: &[Change], id: &dinp_common::instance::InstanceId) -> bool {
    changes.iter().any(|change| matches!(change, Change::Move { instance, .. } | Change::Forget { instance } if instance == id))
}

fn sick_end(observed: &mut Observed) {
    for node in observed.nodes.values_mut() {
        for (id, report) in node.instances.clone().iter() {
            if let Seen::Running { health: Health::Unhealthy { .. }, .. } = &report.seen {
                let seen = Seen::Exited { exit: Exit { code: 1, oom: false, output: String::new() } };
                node.instances.insert(id.clone(), InstanceReport { seen, ..report.clone() });
            }
        }
    }
}
