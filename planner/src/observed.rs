//! What was last seen: nodes by their reports, routers by their confirmations. Ages are the leader's own elapsed time.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::instance::InstanceId;
use dinp_common::name::{NodeName, RouterId};
use dinp_common::node::NodeFacts;
use dinp_common::route::TableVersion;
use dinp_common::wire::{InstanceReport, Orphan};

use crate::policy::Policy;
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
    pub facts: NodeFacts,
    pub instances: BTreeMap<InstanceId, InstanceReport>,
    pub cooling: Vec<InstanceId>,
    pub orphans: Vec<Orphan>,
}

#[derive(Debug, Clone)]
pub struct RouterSeen {
    pub silent_ms: u64,
    pub confirmed: Option<TableVersion>,
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

impl Observed {
    /// `leading_ms` is how long this leader has led; a node that never reported is lost only after its full time.
    pub fn freshness(&self, node: &NodeName, leading_ms: u64, policy: &Policy) -> Freshness {
        match self.nodes.get(node) {
            None if leading_ms < policy.lost_after_ms => Freshness::NotYetSeen,
            None => Freshness::Lost,
            Some(seen) if seen.silent_ms >= policy.lost_after_ms => Freshness::Lost,
            Some(seen) if seen.silent_ms >= policy.suspect_after_ms => Freshness::Suspect,
            Some(_) => Freshness::Fresh,
        }
    }
}

/// What the routers have confirmed about single instances.
#[derive(Debug)]
pub struct Confirmations<'a> {
    publisher: &'a Publisher,
    live: Vec<&'a RouterSeen>,
    /// All that are recorded, heard or not; `None` for one that was not heard at all.
    recorded: Vec<Option<&'a RouterSeen>>,
}

impl<'a> Confirmations<'a> {
    pub fn new(publisher: &'a Publisher, recorded: &[RouterId], observed: &'a Observed, policy: &Policy) -> Self {
        let recorded: Vec<_> = recorded.iter().map(|router| observed.routers.get(router)).collect();
        let live = recorded.iter().flatten().copied().filter(|seen| seen.silent_ms < policy.router_silent_after_ms).collect();
        Self { publisher, live, recorded }
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

    /// Requests and tunnels in flight to the instance through live routers.
    pub fn in_flight(&self, instance: &InstanceId) -> u32 {
        self.live.iter().filter_map(|seen| seen.in_flight.get(instance)).sum()
    }

    /// The instances that every live router routes to.
    pub fn routed(&self, instances: impl Iterator<Item = InstanceId>) -> BTreeSet<InstanceId> {
        instances.filter(|id| self.entered(id)).collect()
    }

    fn live_confirm(&self, since: TableVersion) -> bool {
        self.any_live() && self.live.iter().all(|seen| seen.confirmed.is_some_and(|confirmed| confirmed >= since))
    }
}
