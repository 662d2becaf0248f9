//! One pass of the leader: what is wanted and what was seen in, changes with their reasons out.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::app::{App, Backoff};
use dinp_common::event::Severity;
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::name::{AppName, NodeName};
use dinp_common::plan::{Change, Desired, Note};
use dinp_common::rebalance::Rebalance;

use crate::bucket::{Bucket, bucket};
use crate::observed::{Confirmations, Observed};
use crate::placement::Nodes;
use crate::policy::Policy;
use crate::standing::{Standing, Standings};
use crate::table::Publisher;
use crate::{drain, observed::Freshness, promises, rebalance, refused, rollout};

/// All that one pass reads.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub publisher: &'a Publisher,
    pub policy: &'a Policy,
    /// Milliseconds since the last pass of this leader; 0 in its first.
    pub elapsed_ms: u64,
    /// Milliseconds since this leader took the lease.
    pub leading_ms: u64,
}

/// What one pass decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub changes: Vec<Change>,
    /// What is held back and why, in sentences, per app.
    pub holds: BTreeMap<AppName, Vec<String>>,
    /// Apps that want one more instance somewhere which no node can take now, and why, group of nodes by group of nodes.
    pub no_room: BTreeMap<AppName, String>,
}

impl Plan {
    pub(crate) fn change(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(crate) fn hold(&mut self, app: &AppName, why: impl Into<String>) {
        self.holds.entry(app.clone()).or_default().push(why.into());
    }

    pub(crate) fn move_to(&mut self, instance: &Instance, want: Want, reason: impl Into<String>) {
        self.change(Change::Move { instance: instance.id.clone(), want, reason: reason.into() });
    }

    pub(crate) fn note(&mut self, severity: Severity, kind: &'static str, about: About<'_>, text: impl Into<String>) {
        self.change(Change::Note(Note {
            severity,
            kind,
            app: Some(about.app.clone()),
            instance: about.instance.map(|instance| instance.id.clone()),
            node: about.instance.map(|instance| instance.node.clone()),
            text: text.into(),
            detail: about.detail,
        }));
    }
}

/// What a note is about.
#[derive(Debug)]
pub(crate) struct About<'a> {
    pub app: &'a AppName,
    pub instance: Option<&'a Instance>,
    pub detail: Option<String>,
}

impl<'a> About<'a> {
    pub(crate) fn app(app: &'a AppName) -> Self {
        Self { app, instance: None, detail: None }
    }

    pub(crate) fn instance(instance: &'a Instance) -> Self {
        Self { app: &instance.app, instance: Some(instance), detail: None }
    }
}

/// What all apps of one pass share.
pub(crate) struct Pass<'a> {
    pub input: Input<'a>,
    pub confirmations: Confirmations<'a>,
    pub standings: Standings<'a>,
    /// Made when the first instance is placed: a pass that places none looks at no room.
    pub nodes: Option<Nodes<'a>>,
    /// Where in the plan each instance is placed, in the order of placing.
    pub starts: Vec<usize>,
    pub next_instance: u64,
    /// So many nodes are lost at once that the fault is more likely ours: nothing is replaced.
    pub braked: bool,
    /// Nodes that are being drained.
    pub draining: BTreeSet<&'a NodeName>,
    /// The rebalance that goes on, as this pass leaves it.
    pub rebalance: Option<Rebalance>,
    /// Instances that it moves, and where their successors are.
    pub moving: BTreeMap<&'a InstanceId, &'a NodeName>,
    pub plan: Plan,
}

/// An instance in its bucket.
#[derive(Debug, Clone)]
pub(crate) struct Member<'a> {
    pub instance: &'a Instance,
    pub bucket: Bucket,
    /// Its node is lost.
    pub lost: bool,
    /// Another one is started elsewhere in its place: its node is being drained, or it moves.
    pub leaving: bool,
    /// Where to, if it moves to another node for the balance.
    pub moves_to: Option<&'a NodeName>,
}

/// Decides everything that is to change now.
pub fn plan(input: Input<'_>) -> Plan {
    let mut pass = begin(input);
    rebalance::follow(&mut pass);
    for app in smallest_first(input.desired) {
        if let Some(why) = input.desired.refused.get(app.name.as_str()) {
            pass.plan.hold(&app.name, refused::hold(why));
            continue;
        }
        // A debug build decides all the same, so that no test misses a rule that the shortcut does not know.
        let rests = pass.is_at_rest(app);
        if !rests || cfg!(debug_assertions) {
            let before = (pass.plan.changes.len(), pass.plan.holds.len());
            rollout::app(&mut pass, app);
            let after = (pass.plan.changes.len(), pass.plan.holds.len());
            debug_assert!(!rests || before == after, "{} is at rest, and something was decided about it", app.name);
        }
    }
    rollout::place::arrange(&mut pass);
    rebalance::advance(&mut pass);
    drain::drained(&mut pass);
    debug_assert_eq!(promises::of_changes(input.desired, &pass.plan.changes), Ok(()));
    pass.plan
}

/// Which nodes can take no more of an app just now, and why; empty if every node can.
pub(crate) fn refusals(input: Input<'_>, app: &AppName) -> String {
    rollout::refusals(&mut begin(input), app)
}

fn begin(input: Input<'_>) -> Pass<'_> {
    let Input { desired, observed, publisher, policy, leading_ms, .. } = input;
    let standings = Standings::new(desired, observed, leading_ms, policy);
    Pass {
        input,
        confirmations: Confirmations::new(publisher, &desired.routers, observed, policy).early(leading_ms, policy),
        nodes: None,
        starts: Vec::new(),
        next_instance: desired.next_instance,
        braked: standings.mass_loss(policy),
        standings,
        draining: desired.nodes.iter().filter(|node| node.draining).map(|node| &node.name).collect(),
        rebalance: None,
        moving: BTreeMap::new(),
        plan: Plan::default(),
    }
}

/// Where room is short, most instances find some if the small ones come first; a large one waits as it would anyway.
fn smallest_first(desired: &Desired) -> Vec<&App> {
    let target = |app: &App| {
        let release = desired.deploy(&app.name).and_then(|deploy| deploy.to).or(app.live)?;
        desired.spec(&app.name, release).map(|spec| spec.memory)
    };
    let mut apps: Vec<&App> = desired.apps.iter().collect();
    apps.sort_by_cached_key(|app| (target(app), app.name.clone()));
    apps
}

impl<'a> Pass<'a> {
    /// Nothing can be decided about it: what it wants is what there is, all of it is well, and nobody asks for a change.
    fn is_at_rest(&self, app: &App) -> bool {
        let moves = || self.standings.of(&app.name).any(|standing| self.draining.contains(&standing.instance.node));
        self.standings.is_well(&app.name)
            && app.backoff == Backoff::default()
            && self.input.desired.deploy(&app.name).is_none()
            && (self.draining.is_empty() || !moves())
    }

    /// All instances of an app, each in exactly one bucket.
    pub(crate) fn members(&self, app: &AppName) -> Vec<Member<'a>> {
        let policy = self.input.policy;
        self.standings
            .of(app)
            .map(|Standing { instance, report, freshness, .. }| {
                let mut bucket = bucket(instance, freshness, report);
                if bucket == (Bucket::Starting { healthy: false }) && freshness == Freshness::Fresh && self.is_hung(instance) {
                    let seconds = policy.hung_start_ms.max(policy.start_most_ms()) / 1000;
                    bucket = Bucket::Refused { why: format!("not healthy {seconds} s after its start") };
                }
                let moves_to = self.moving.get(&instance.id).copied();
                let leaving = (self.draining.contains(&instance.node) || moves_to.is_some()) && instance.want == Want::Run;
                Member { instance, bucket, lost: freshness == Freshness::Lost, leaving, moves_to }
            })
            .collect()
    }

    /// So late that another one is tried. A deploy's own grace ends sooner.
    fn is_hung(&self, instance: &Instance) -> bool {
        let Input { policy, elapsed_ms, .. } = self.input;
        instance.spent_ms + elapsed_ms >= policy.hung_start_ms.max(policy.start_most_ms())
    }
}
