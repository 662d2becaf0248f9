//! What this server knows of the cluster just now: the handle that the API, the agents' connections, the route feed
//! and the reconcile loop share. Nothing in it is truth; all of it is seen again after a restart.

mod asks;
mod nodes;
mod routers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use dinp_common::api::WatchEvent;
use dinp_common::instance::InstanceId;
use dinp_common::name::{AppName, NodeName};
use dinp_common::node::{NodeFacts, NodeStatus};
use dinp_common::plan::Desired;
use dinp_common::wire::{InstanceReport, Orphan};
use dinp_daemon::Nudge;
use dinp_planner::observed::Observed;
use tokio::sync::broadcast;

pub use asks::{AskError, Output};
pub use nodes::{AgentLink, Outbox};

/// Watch events kept for a slow reader; one that falls behind further is told to read everything again.
const WATCH_EVENTS: usize = 256;

/// A cheap handle; clones share everything.
#[derive(Clone)]
pub struct Cluster(Arc<Shared>);

struct Shared {
    snapshot: ArcSwap<Snapshot>,
    nudge: Nudge,
    watch: broadcast::Sender<WatchEvent>,
    nodes: nodes::Nodes,
    routers: routers::Routers,
    /// The highest epoch that somebody has seen who refuses this server; a leader must be above it.
    highest_epoch: AtomicU64,
}

/// The last planned view. Readers keep it as long as they like.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub desired: Desired,
    pub nodes: BTreeMap<NodeName, SeenNode>,
    pub instances: BTreeMap<InstanceId, InstanceReport>,
    /// What is held back and why, in sentences.
    pub holds: BTreeMap<AppName, Vec<String>>,
    /// Apps that want one more instance which no node can take now, and why.
    pub no_room: BTreeMap<AppName, String>,
    /// Instances that every live router is known to route to.
    pub routed: BTreeSet<InstanceId>,
    /// Whether this server leads.
    pub leading: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SeenNode {
    pub status: NodeStatus,
    pub reason: String,
    pub facts: Option<NodeFacts>,
    pub orphans: Vec<Orphan>,
}

impl Cluster {
    pub fn new() -> Self {
        Self::showing(Snapshot::default())
    }

    /// A cluster that begins by showing `snapshot`.
    pub fn showing(snapshot: Snapshot) -> Self {
        Self(Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(snapshot),
            nudge: Nudge::default(),
            watch: broadcast::Sender::new(WATCH_EVENTS),
            nodes: nodes::Nodes::default(),
            routers: routers::Routers::default(),
            highest_epoch: AtomicU64::new(0),
        }))
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.load_full()
    }

    pub(crate) fn show(&self, snapshot: Snapshot) {
        self.0.snapshot.store(Arc::new(snapshot));
    }

    /// Something was written or seen: plan now.
    pub fn nudge(&self) {
        self.0.nudge.nudge();
    }

    pub(crate) async fn nudged(&self) {
        self.0.nudge.nudged().await;
    }

    pub fn watch(&self) -> broadcast::Receiver<WatchEvent> {
        self.0.watch.subscribe()
    }

    pub fn announce(&self, event: WatchEvent) {
        // Nobody watching is not an error.
        let _ = self.0.watch.send(event);
    }

    /// A receiver that has seen this epoch refuses ours.
    pub fn raise_epoch(&self, epoch: u64) {
        self.0.highest_epoch.fetch_max(epoch, Ordering::Relaxed);
    }

    pub(crate) fn highest_epoch(&self) -> u64 {
        self.0.highest_epoch.load(Ordering::Relaxed)
    }

    pub(crate) fn watchers(&self) -> usize {
        self.0.watch.receiver_count()
    }

    /// What was last seen of all nodes and routers, with ages as of `now`.
    pub(crate) fn observed(&self, now: Instant) -> Observed {
        Observed { nodes: self.0.nodes.seen(now), routers: self.0.routers.seen(now) }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new()
    }
}
