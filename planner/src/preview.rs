//! A dry run: the same decisions, pass after pass, on a copy of the world in which all goes well.
//!
//! Every new instance becomes healthy at once, what is to stop is gone at once, and every router confirms at once. What
//! is not well already stays as it is. So the steps are those of a rollout without accidents, in its order, by the same
//! planner: nothing here decides anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use dinp_common::deploy::{Deploy, DeployState, Failure};
use dinp_common::fence::Fence;
use dinp_common::health::Health;
use dinp_common::instance::{Instance, InstanceId, Seen, Want};
use dinp_common::name::{AppName, Host, NodeName, RouterId};
use dinp_common::plan::{Change, Desired};
use dinp_common::rebalance::Rebalance;
use dinp_common::release::ReleaseNo;
use dinp_common::wire::InstanceReport;

use crate::apply::apply;
use crate::observed::{Observed, RouterSeen};
use crate::plan::{Input, Plan, plan, refusals};
use crate::policy::Policy;
use crate::routes::routes;
use crate::table::Publisher;

/// Passes at most: some for each instance that comes and goes, and one for each second of the longest deadline. A
/// preview that needs more is cut there and says so.
const PASSES_MOST: u32 = 20_000;
/// What a pass stands for in which nothing happens but time.
const WAIT_MS: u64 = 1_000;

/// What would follow, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    pub steps: Vec<Step>,
    pub outcome: Outcome,
    /// Instances of the app that are to run, on each node: now, and when all is done.
    pub nodes: BTreeMap<NodeName, (u32, u32)>,
    /// Nodes that can take no instance of the app just now, and why; empty if every node can.
    pub filtered: String,
}

/// What a drain of a node would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainPreview {
    /// Of every app that has something there.
    pub steps: Vec<Step>,
    /// Instances that are to run on each node: now, and in the end.
    pub nodes: BTreeMap<NodeName, (u32, u32)>,
    /// What would stay, with its app and why.
    pub left: Vec<(InstanceId, AppName, String)>,
}

/// What a rebalance would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebalancePreview {
    /// In their order.
    pub moves: Vec<Shifted>,
    /// Instances that are to run on each node: now, and in the end.
    pub nodes: BTreeMap<NodeName, (u32, u32)>,
    /// Why it would end there; `None` if it would take longer than a preview looks ahead.
    pub ended: Option<String>,
}

/// One instance that would move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shifted {
    pub instance: InstanceId,
    pub app: AppName,
    pub from: NodeName,
    pub to: NodeName,
    pub why: String,
}

/// One decision about one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub app: AppName,
    pub does: Does,
    pub instance: InstanceId,
    pub node: NodeName,
    pub release: ReleaseNo,
    pub number: u32,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    Start,
    /// It leaves the routes and finishes what it has in flight.
    Withdraw,
    Stop,
}

/// How the deploy would end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Ends {
        state: DeployState,
        failure: Option<Failure>,
    },
    /// Nothing is under way, or it would take longer than a preview looks ahead.
    Open,
}

/// A world in which all goes well.
struct Rehearsal<'a> {
    /// The apps it is about.
    apps: BTreeSet<AppName>,
    desired: Desired,
    observed: Observed,
    publisher: Publisher,
    policy: &'a Policy,
    domain: &'a Host,
    outcome: Outcome,
    steps: Vec<Step>,
    shifted: Vec<Shifted>,
    /// What the last pass held back.
    last: Plan,
}

/// Rehearses what `desired` leads to for one app, from what was `observed`.
pub fn preview(desired: Desired, observed: Observed, fence: &Fence, domain: &Host, policy: &Policy, app: &AppName) -> Preview {
    let of_app = |instance: &Instance| instance.app == *app;
    let before = running(&desired, of_app);
    let mut rehearsal = Rehearsal::new([app.clone()].into(), desired, observed, fence, domain, policy);
    let filtered = refusals(rehearsal.input(0), app);
    rehearsal.run();
    let nodes = before_and_after(before, running(&rehearsal.desired, of_app));
    Preview { steps: rehearsal.steps, outcome: rehearsal.outcome, nodes, filtered }
}

/// Rehearses the drain of a node, from what was `observed`. A deploy of an app that has something there is rehearsed to
/// its end with it.
pub fn drain(
    mut desired: Desired,
    observed: Observed,
    fence: &Fence,
    domain: &Host,
    policy: &Policy,
    node: &NodeName,
) -> DrainPreview {
    for known in desired.nodes.iter_mut().filter(|known| known.name == *node) {
        (known.cordoned, known.draining) = (true, true);
    }
    let before = running(&desired, |_| true);
    let here = desired.instances.iter().filter(|instance| instance.node == *node);
    let apps = here.map(|instance| instance.app.clone()).collect();
    let mut rehearsal = Rehearsal::new(apps, desired, observed, fence, domain, policy);
    rehearsal.run();
    let left = rehearsal.desired.instances.iter().filter(|instance| instance.node == *node);
    let left = left.map(|instance| (instance.id.clone(), instance.app.clone(), rehearsal.held_back(&instance.app))).collect();
    let nodes = before_and_after(before, running(&rehearsal.desired, |_| true));
    DrainPreview { steps: rehearsal.steps, nodes, left }
}

/// Rehearses a rebalance, from what was `observed`; one that goes on is rehearsed to its end.
pub fn rebalance(
    mut desired: Desired,
    observed: Observed,
    fence: &Fence,
    domain: &Host,
    policy: &Policy,
    by: &str,
) -> RebalancePreview {
    if desired.rebalancing().is_none() {
        let number = desired.rebalance.as_ref().map_or(1, |last| last.number + 1);
        desired.rebalance = Some(Rebalance::new(number, by));
    }
    let before = running(&desired, |_| true);
    // Deploys are rehearsed to their end with it, as what they leave may move.
    let apps = desired.deploys.iter().map(|deploy| deploy.app.clone()).collect();
    let mut rehearsal = Rehearsal::new(apps, desired, observed, fence, domain, policy);
    rehearsal.run();
    let nodes = before_and_after(before, running(&rehearsal.desired, |_| true));
    let ended = rehearsal.desired.rebalance.and_then(|rebalance| rebalance.ended);
    RebalancePreview { moves: rehearsal.shifted, nodes, ended }
}

fn running(desired: &Desired, counts: impl Fn(&Instance) -> bool) -> BTreeMap<NodeName, u32> {
    let mut nodes: BTreeMap<NodeName, u32> = desired.nodes.iter().map(|node| (node.name.clone(), 0)).collect();
    for instance in desired.instances.iter().filter(|instance| instance.want == Want::Run && counts(instance)) {
        *nodes.entry(instance.node.clone()).or_default() += 1;
    }
    nodes
}

fn before_and_after(before: BTreeMap<NodeName, u32>, after: BTreeMap<NodeName, u32>) -> BTreeMap<NodeName, (u32, u32)> {
    let mut nodes: BTreeMap<NodeName, (u32, u32)> = BTreeMap::new();
    before.into_iter().for_each(|(node, n)| nodes.entry(node).or_default().0 = n);
    after.into_iter().for_each(|(node, n)| nodes.entry(node).or_default().1 = n);
    nodes
}

impl<'a> Rehearsal<'a> {
    fn new(
        apps: BTreeSet<AppName>,
        desired: Desired,
        observed: Observed,
        fence: &Fence,
        domain: &'a Host,
        policy: &'a Policy,
    ) -> Self {
        let publisher = Publisher::new(fence.clone());
        let (outcome, steps, shifted, last) = (Outcome::Open, Vec::new(), Vec::new(), Plan::default());
        let mut rehearsal = Self { apps, desired, observed, publisher, policy, domain, outcome, steps, shifted, last };
        rehearsal.confirm();
        rehearsal
    }

    fn run(&mut self) {
        let mut elapsed_ms = 0;
        for _ in 0..PASSES_MOST {
            let moved = self.pass(elapsed_ms);
            // A paused one waits for people, and no rehearsal outlasts them.
            let goes_on = |deploy: &Deploy| self.apps.contains(&deploy.app) && deploy.paused.is_none();
            let under_way = self.desired.deploys.iter().any(goes_on) || self.desired.rebalancing().is_some();
            if !moved && !under_way {
                return;
            }
            elapsed_ms = if moved { 0 } else { WAIT_MS };
        }
    }

    /// Why nothing of an app moves any more.
    fn held_back(&self, app: &AppName) -> String {
        let held = || self.last.holds.get(app).map(|holds| holds.join("; "));
        let why = self.last.no_room.get(app).cloned().or_else(held);
        why.unwrap_or_else(|| "it takes longer than a dry run looks ahead".to_owned())
    }

    fn input(&self, elapsed_ms: u64) -> Input<'_> {
        Input {
            desired: &self.desired,
            observed: &self.observed,
            publisher: &self.publisher,
            policy: self.policy,
            elapsed_ms,
            // Late enough to know every router, too early to give up a node that has not reported yet.
            leading_ms: self.policy.router_silent_after_ms,
        }
    }

    /// One pass, and everybody does at once what they are told. `false` if nothing but time went on for the app.
    fn pass(&mut self, elapsed_ms: u64) -> bool {
        let decided = plan(self.input(elapsed_ms));
        let mut moved = false;
        for change in &decided.changes {
            moved |= self.take(change);
        }
        self.note_shifts(&decided.changes);
        apply(&mut self.desired, &decided.changes);
        self.last = decided;
        self.obey();
        self.confirm() || moved
    }

    /// Notes what a change does to the app; `false` if that is nothing but time.
    fn take(&mut self, change: &Change) -> bool {
        match change {
            Change::Place { instance, .. } => self.step(Does::Start, instance.clone(), instance.reason.clone()),
            Change::Move { instance, want, reason } => {
                let found = self.desired.instances.iter().find(|known| known.id == *instance).cloned();
                let does = if *want == Want::Drain { Does::Withdraw } else { Does::Stop };
                found.is_some_and(|found| self.step(does, found, reason.clone()))
            }
            Change::Finish { app, state, failure, .. } if self.apps.contains(app) => {
                self.outcome = Outcome::Ends { state: *state, failure: failure.clone() };
                true
            }
            Change::Forget { instance } => {
                self.publisher.forget(instance);
                true
            }
            Change::Prove { .. } | Change::Live { .. } | Change::Erase { .. } => true,
            Change::Finish { .. }
            | Change::Spend { .. }
            | Change::Progress { .. }
            | Change::Held { .. }
            | Change::Backoff { .. }
            | Change::Rebalance(_)
            | Change::Note(_) => false,
        }
    }

    /// Notes each move that begins: it is recorded together with its successor.
    fn note_shifts(&mut self, changes: &[Change]) {
        let known = self.desired.rebalancing();
        let state = changes.iter().find_map(|change| match change {
            Change::Rebalance(state) => Some(state),
            _ => None,
        });
        for moving in state.into_iter().flat_map(Rebalance::under_way) {
            let is_known = known.is_some_and(|known| known.moves.iter().any(|other| other.instance == moving.instance));
            let from = self.desired.instances.iter().find(|instance| instance.id == moving.instance);
            let successor = changes.iter().find_map(|change| match change {
                Change::Place { instance, .. } if instance.app == moving.app && instance.node == moving.to => Some(instance),
                _ => None,
            });
            if let (false, Some(from), Some(successor)) = (is_known, from, successor) {
                let (instance, app, to) = (moving.instance.clone(), moving.app.clone(), moving.to.clone());
                // Its reason says where from, too.
                let why = successor.reason.split_once(": ").map_or(&*successor.reason, |(_, why)| why);
                let (from, why) = (from.node.clone(), why.to_owned());
                self.shifted.push(Shifted { instance, app, from, to, why });
            }
        }
    }

    fn step(&mut self, does: Does, instance: Instance, reason: String) -> bool {
        if self.apps.contains(&instance.app) {
            let Instance { id, app, node, release, index, .. } = instance;
            self.steps.push(Step { app, does, instance: id, node, release, number: index, reason });
        }
        true
    }

    /// Every node that was heard does what it is told at once.
    fn obey(&mut self) {
        for instance in &self.desired.instances {
            let Some(node) = self.observed.nodes.get_mut(&instance.node) else { continue };
            let known = node.instances.get(&instance.id).map(|report| &report.seen);
            let seen = match (instance.want, known) {
                (Want::Stop, _) => Seen::Gone,
                // What was seen of a proven one stays as it is, ill ones included.
                (Want::Run, Some(Seen::Running { .. })) if instance.proven => continue,
                (Want::Run, Some(Seen::Exited { .. } | Seen::Failed { .. })) | (Want::Drain, _) => continue,
                (Want::Run, _) => Seen::Running { address: address(instance), health: Health::Healthy },
            };
            let (app, release) = (instance.app.clone(), instance.release);
            let report = InstanceReport { app, release, seen, listening: Vec::new(), restarts: 0 };
            node.instances.insert(instance.id.clone(), report);
        }
    }

    /// The routes that follow, confirmed by every router; `true` if they changed. Without any router one is supposed,
    /// since otherwise nothing would ever be withdrawn.
    fn confirm(&mut self) -> bool {
        if self.desired.routers.is_empty()
            && let Ok(supposed) = RouterId::parse("supposed")
        {
            self.desired.routers.push(supposed);
        }
        let leading_ms = self.policy.router_silent_after_ms;
        let table = routes(&self.desired, &self.observed, self.domain, leading_ms, self.policy);
        let changed = self.publisher.publish(&table).is_some();
        let confirmed = Some(self.publisher.at());
        for router in &self.desired.routers {
            let seen = RouterSeen { silent_ms: 0, confirmed, holder: None, in_flight: BTreeMap::new() };
            self.observed.routers.insert(router.clone(), seen);
        }
        changed
    }
}

/// An address that nothing listens on; the rehearsal's routes lead nowhere.
fn address(instance: &Instance) -> SocketAddr {
    instance.address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
}
