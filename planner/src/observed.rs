//! What was last seen: nodes by their reports, routers by their confirmations. Ages are the leader's own elapsed time.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::instance::InstanceId;
use dinp_common::name::{NodeName, RouterId};
use dinp_common::node::NodeFacts;
use dinp_common::route::TableVersion;
use dinp_common::wire::Orphan;

use crate::policy::Policy;
use crate::reported::Reported;
use crate::steadiness::Return;
use crate::table::Publisher;

#[derive(Debug, Clone, Default)]
pub struct Observed {
    pub nodes: BTreeMap<NodeName, NodeSeen>,
    pub routers: BTreeMap<RouterId, RouterSeen>,
}

/// A node that has sent at least one full report to this leader.
#[derive(Debug, Clone)]
pub struct NodeSeen {
    /// Milliseconds since its last report.
    pub silent_ms: u64,
    /// When it came back after a silence, as far as this server remembers; oldest first.
    pub returns: Vec<Return>,
    pub facts: NodeFacts,
    pub instances: Reported,
    /// Milliseconds at its present step, of each instance that is on its way, as far as this server has followed it.
    pub steps: BTreeMap<InstanceId, u64>,
    pub cooling: Vec<InstanceId>,
    pub orphans: Vec<Orphan>,
}

#[derive(Debug, Clone)]
pub struct RouterSeen {
    pub silent_ms: u64,
    pub confirmed: Option<TableVersion>,
    /// Who published what is confirmed; `None` where the router does not say.
    pub holder: Option<String>,
    pub in_flight: BTreeMap<InstanceId, u32>,
}

/// How much a node's last report can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    Fresh,
    /// Silent for a while: nothing new goes there, nothing is taken from there.
    Suspect,
    /// It has not reported to this leader, and its time to do so is not over.
    NotYetSeen,
    Lost,
}

impl Freshness {
    /// As [`Observed::freshness`], of a node that has been looked up.
    pub(crate) fn of(seen: Option<&NodeSeen>, leading_ms: u64, policy: &Policy) -> Self {
        match seen {
            None if leading_ms < policy.lost_after_ms => Self::NotYetSeen,
            None => Self::Lost,
            Some(seen) if seen.silent_ms.min(leading_ms) >= policy.lost_after_ms => Self::Lost,
            Some(seen) if seen.silent_ms >= policy.suspect_after_ms => Self::Suspect,
            Some(_) => Self::Fresh,
        }
    }
}

impl Observed {
    /// `leading_ms` is how long this leader has led. A node is lost only after its full time under it, also one that
    /// was silent before: while nothing hung on it, this server may have been cut off, or have stood still itself.
    pub fn freshness(&self, node: &NodeName, leading_ms: u64, policy: &Policy) -> Freshness {
        Freshness::of(self.nodes.get(node), leading_ms, policy)
    }
}

/// What the routers have confirmed about single instances.
#[derive(Debug)]
pub struct Confirmations<'a> {
    publisher: &'a Publisher,
    /// All that are heard, recorded or not: who speaks routes, and a database that has lost its tail knows nothing of it.
    live: Vec<&'a RouterSeen>,
    /// All that are recorded, heard or not; `None` for one that was not heard at all.
    recorded: Vec<Option<&'a RouterSeen>>,
    silent: Vec<&'a RouterId>,
    /// A recorded router has not been heard by this leader, and its time to speak is not over.
    awaited: bool,
}

/// What routers may still carry to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight<'a> {
    /// Requests and tunnels that live routers report.
    pub reported: u32,
    /// Recorded routers that say nothing at present, so that nobody knows what they carry.
    pub silent: &'a [&'a RouterId],
}

impl InFlight<'_> {
    pub fn is_nothing(&self) -> bool {
        self.reported == 0 && self.silent.is_empty()
    }
}

impl<'a> Confirmations<'a> {
    pub fn new(publisher: &'a Publisher, routers: &'a [RouterId], observed: &'a Observed, policy: &Policy) -> Self {
        let is_live = |seen: &&RouterSeen| seen.silent_ms < policy.router_silent_after_ms;
        let recorded: Vec<_> = routers.iter().map(|router| observed.routers.get(router)).collect();
        let live = observed.routers.values().filter(is_live).collect();
        let silent = routers.iter().zip(&recorded).filter(|(_, seen)| !seen.as_ref().is_some_and(is_live));
        Self { publisher, live, silent: silent.map(|(router, _)| router).collect(), recorded, awaited: false }
    }

    /// As a leader of `leading_ms` sees it: a router that it has not heard may live, until its time to speak is over.
    pub fn early(mut self, leading_ms: u64, policy: &Policy) -> Self {
        self.awaited = leading_ms < policy.router_silent_after_ms && self.recorded.iter().any(Option::is_none);
        self
    }

    pub fn any_live(&self) -> bool {
        !self.live.is_empty()
    }

    /// Every live router, and at least one, routes to the instance.
    pub fn entered(&self, instance: &InstanceId) -> bool {
        self.publisher.present_since(instance).is_some_and(|since| self.live_confirm(since))
    }

    /// Every live router, and at least one, has stopped routing to the instance.
    pub fn left(&self, instance: &InstanceId) -> bool {
        self.publisher.absent_since(instance).is_some_and(|since| self.live_confirm(since))
    }

    /// Every recorded router, silent ones included, has stopped routing to the instance.
    pub fn left_everywhere(&self, instance: &InstanceId) -> bool {
        self.publisher.absent_since(instance).is_some_and(|since| {
            self.recorded.iter().all(|seen| seen.and_then(|seen| seen.confirmed).is_some_and(|confirmed| confirmed >= since))
        })
    }

    pub fn in_flight(&self, instance: &InstanceId) -> InFlight<'_> {
        InFlight { reported: self.live.iter().filter_map(|seen| seen.in_flight.get(instance)).sum(), silent: &self.silent }
    }

    /// The instances that every live router routes to.
    pub fn routed(&self, instances: impl Iterator<Item = InstanceId>) -> BTreeSet<InstanceId> {
        instances.filter(|id| self.entered(id)).collect()
    }

    fn live_confirm(&self, since: TableVersion) -> bool {
        self.any_live()
            && !self.awaited
            && self.live.iter().all(|seen| seen.confirmed.is_some_and(|confirmed| confirmed >= since))
    }
}
