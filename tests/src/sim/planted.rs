//! Deliberate bugs: one changed decision each, at the seams between the real machines. Every one must be caught by a
//! promise that was there before it.

use std::borrow::Cow;

use dinp_common::deploy::{DeployState, Strategy};
use dinp_common::exit::Exit;
use dinp_common::instance::{Seen, Want};
use dinp_common::plan::{Change, Desired};
use dinp_common::route::TableVersion;
use dinp_common::wire::{Assignments, InstanceReport};
use dinp_planner::observed::Observed;
use dinp_planner::policy::Policy;

use super::kernel::{Kernel, Ms};
use super::world::World;

macro_rules! planted {
    ($($(#[$doc:meta])* $name:ident = $promise:literal),+ $(,)?) => {
        /// A bug, and the beginning of the promise that must catch it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Planted { $($(#[$doc])* $name),+ }

        impl Planted {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// The promises that may catch it, `|` between them; each is the beginning of one.
            pub fn caught_by(self) -> &'static str {
                match self { $(Self::$name => $promise),+ }
            }
        }
    };
}

planted! {
    /// An upgrade kills the old instances as soon as the new ones are placed.
    WithdrawBeforeProven = "1, 2",
    /// A failed start takes the healthy ones with it.
    FailureKillsAll = "1, 2",
    /// SIGTERM comes with the withdrawal.
    StopWithoutDrain = "1 ",
    /// Nobody waits for the routers' word.
    DrainNotConfirmed = "1",
    InFlightIgnored = "1 (it drains",
    KillWithoutTerm = "1 (SIGKILL",
    /// Agents stop what only drains.
    DrainIsStop = "13",
    /// Deploys that cannot succeed never fail.
    DeployNeverFails = "2",
    /// A query cut off half-way counts as whole.
    PartialLoad = "3|4|5|1, 2",
    /// What a node does not mention has ended.
    UnmentionedIsDead = "4|1|9",
    /// Apps that a half-read query leaves out leave the routes.
    PartialApps = "3",
    CommitUnfenced = "4 (every",
    GateSkipped = "4 (agents",
    /// The highest fence is kept in memory only.
    GateForgotten = "4 (agents",
    LeaseWithoutWaiting = "4 (one leader",
    NoWarmUp = "4, 9",
    /// A moment of silence loses a node.
    ImpatientWithNodes = "4, 9|11",
    ActBeforeStored = "5|4",
    /// An address is free as soon as its container is gone.
    QuarantineSkipped = "7",
    /// Records go before every router has confirmed.
    ForgottenEarly = "13|7",
    TableUncertified = "8",
    ConfirmBeforeKept = "4 (routers|7|8",
    /// Where nothing is healthy, nothing is routed.
    SickLeaveRoutes = "9",
    NoBackOff = "12",
    NoBrake = "11",
    TimeUnbounded = "16",
    CrashesLieAround = "6",
    /// Redis is written once and never looked at again.
    RedisTrusted = "rest",
    /// What is gone is never forgotten.
    NeverForgotten = "rest",
}

impl Planted {
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.name().eq_ignore_ascii_case(name))
    }

    pub fn is_caught_by(self, promise: &str) -> bool {
        self.caught_by().split('|').any(|beginning| promise.starts_with(beginning))
    }
}

impl Kernel {
    /// The numbers a leader decides by.
    pub(super) fn policy(&self) -> Policy {
        let policy = self.setting.policy.clone();
        match self.planted {
            Some(Planted::NoBrake) => Policy { mass_loss_percent: 1_000, ..policy },
            Some(Planted::TimeUnbounded) => Policy { pass_most_ms: u64::MAX, ..policy },
            Some(Planted::ImpatientWithNodes) => Policy { suspect_after_ms: 500, lost_after_ms: 900, ..policy },
            _ => policy,
        }
    }

    /// When a leader believes that its term began.
    pub(super) fn term_begins(&self, now_ms: Ms) -> Ms {
        if self.is_planted(Planted::NoWarmUp) { now_ms.saturating_sub(60_000) } else { now_ms }
    }
}

impl World {
    pub(super) fn twist_input(&mut self, desired: &mut Desired, observed: &mut Observed) {
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
                    node.instances.entry(instance.id.clone()).or_insert_with(|| InstanceReport {
                        app: instance.app.clone(),
                        release: instance.release,
                        seen: Seen::Exited { exit },
                        listening: Vec::new(),
                        restarts: 0,
                    });
                }
            }
            Some(Planted::InFlightIgnored) => observed.routers.values_mut().for_each(|router| router.in_flight.clear()),
            Some(Planted::NoBackOff) => desired.apps.iter_mut().for_each(|app| app.backoff = Default::default()),
            _ => {}
        }
    }

    pub(super) fn twist_confirmed(&self, observed: &mut Observed, at: TableVersion) {
        if self.k.is_planted(Planted::DrainNotConfirmed) {
            observed.routers.values_mut().for_each(|router| {
                router.confirmed = Some(at);
                router.silent_ms = 0;
            });
        }
    }

    pub(super) fn twist_plan(&mut self, desired: &Desired, observed: &Observed, changes: &mut Vec<Change>) {
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

    /// What routes are made from, after everything was decided.
    pub(super) fn twist_routes(&self, observed: &mut Cow<'_, Observed>) {
        if self.k.is_planted(Planted::SickLeaveRoutes) {
            for report in observed.to_mut().nodes.values_mut().flat_map(|node| node.instances.values_mut()) {
                if let Seen::Running { health: dinp_common::health::Health::Unhealthy { .. }, .. } = &report.seen {
                    report.seen = Seen::Exited { exit: Exit { code: 1, oom: false, output: String::new() } };
                }
            }
        }
    }

    pub(super) fn twist_level(&mut self, level: &mut Assignments, observed: &Observed) {
        match self.k.planted {
            Some(Planted::DrainIsStop) => {
                level
                    .instances
                    .iter_mut()
                    .filter(|wanted| wanted.want == Want::Drain)
                    .for_each(|wanted| wanted.want = Want::Stop);
            }
            Some(Planted::QuarantineSkipped) => {
                level.released = observed.nodes.values().flat_map(|node| node.cooling.clone()).collect();
            }
            _ => {}
        }
    }
}

fn is_decided(changes: &[Change], id: &dinp_common::instance::InstanceId) -> bool {
    changes.iter().any(|change| matches!(change, Change::Move { instance, .. } | Change::Forget { instance } if instance == id))
}
