//! What is wanted, as the store holds it, and what a planner changes about it.
//!
//! `Desired` is read whole, in one transaction, or not at all. A plan is a list of `Change`s; the store writes them
//! in one transaction that begins by proving the lease.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;

use crate::app::{App, Backoff};
use crate::deploy::{Deploy, DeployNo, DeployState, Failure};
use crate::event::Severity;
use crate::instance::{Instance, InstanceId, Want};
use crate::name::{AppName, NodeName, RouterId};
use crate::node::Node;
use crate::rebalance::Rebalance;
use crate::release::{Release, ReleaseNo, RunSpec};
use crate::wire::ImagesKept;

/// Everything the store knows that a decision may need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Desired {
    /// All apps, tombstones included, sorted by name.
    pub apps: Vec<App>,
    /// Every release that is live, that a running deploy leads to, or that an instance has.
    pub releases: BTreeMap<(AppName, ReleaseNo), Release>,
    /// Running deploys only; at most one per app.
    pub deploys: Vec<Deploy>,
    /// All instances, sorted by id.
    pub instances: Vec<Instance>,
    pub nodes: Vec<Node>,
    /// Routers that have joined and not left.
    pub routers: Vec<RouterId>,
    /// The sequence number of the next instance.
    pub next_instance: u64,
    pub images: ImagesKept,
    /// The last one, whether it goes on or has ended.
    pub rebalance: Option<Rebalance>,
    /// Apps with a record that cannot be understood, by their names as they are stored, and why. What can be read of
    /// them is here; nothing of them is decided.
    pub refused: BTreeMap<String, String>,
}

impl Desired {
    /// Lets every instance share its app's and its node's name with the records of these: instances are many, and names
    /// few.
    pub fn share_names(&mut self) {
        let apps: HashSet<AppName> = self.apps.iter().map(|app| app.name.clone()).collect();
        let nodes: HashSet<NodeName> = self.nodes.iter().map(|node| node.name.clone()).collect();
        for instance in &mut self.instances {
            apps.get(&instance.app).into_iter().for_each(|name| instance.app.clone_from(name));
            nodes.get(&instance.node).into_iter().for_each(|name| instance.node.clone_from(name));
        }
    }

    /// The snapshot an instance of this app and release is made from.
    pub fn spec(&self, app: &AppName, release: ReleaseNo) -> Option<&RunSpec> {
        self.releases.get(&(app.clone(), release)).map(|release| &release.spec)
    }

    pub fn app(&self, name: &AppName) -> Option<&App> {
        self.apps.iter().find(|app| app.name == *name)
    }

    pub fn deploy(&self, app: &AppName) -> Option<&Deploy> {
        self.deploys.iter().find(|deploy| deploy.app == *app)
    }

    /// The rebalance that goes on.
    pub fn rebalancing(&self) -> Option<&Rebalance> {
        self.rebalance.as_ref().filter(|rebalance| rebalance.ended.is_none())
    }

    pub fn instances_of<'a>(&'a self, app: &'a AppName) -> impl Iterator<Item = &'a Instance> {
        self.instances.iter().filter(move |instance| instance.app == *app)
    }
}

/// One change to what is stored. Every variant is idempotent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new instance; the store also raises the sequence above it.
    Place {
        instance: Instance,
        sequence: u64,
    },
    /// The instance's wanted state moves forward; its phase begins anew.
    Move {
        instance: InstanceId,
        want: Want,
        reason: String,
    },
    /// It was healthy for the first time.
    Prove {
        instance: InstanceId,
        address: SocketAddr,
    },
    /// Time spent in its phase.
    Spend {
        instance: InstanceId,
        spent_ms: u64,
    },
    /// Its container is gone and no router can reach its address: the record goes.
    Forget {
        instance: InstanceId,
    },
    /// Time and failed starts of a running deploy.
    Progress {
        app: AppName,
        deploy: DeployNo,
        spent_ms: u64,
        failed_starts: u32,
    },
    /// Time a paused deploy has been held back.
    Held {
        app: AppName,
        deploy: DeployNo,
        paused_ms: u64,
    },
    /// The deploy's end. A cancelled one also takes back what it wanted of the app beside its release.
    Finish {
        app: AppName,
        deploy: DeployNo,
        state: DeployState,
        failure: Option<Failure>,
    },
    /// The release (and generation) is proven good and serves from now on.
    Live {
        app: AppName,
        release: ReleaseNo,
        generation: u32,
    },
    Backoff {
        app: AppName,
        backoff: Backoff,
    },
    /// Nothing of a deleted app is left: its record, releases, deploys and builds go. Its events stay.
    Erase {
        app: AppName,
    },
    /// How a rebalance stands after this pass. Left out where people have ended it meanwhile.
    Rebalance(Rebalance),
    /// A line in the timeline, by `dinp` itself.
    Note(Note),
}

/// An event before it has an id and a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub severity: Severity,
    pub kind: &'static str,
    pub app: Option<AppName>,
    pub instance: Option<InstanceId>,
    pub node: Option<NodeName>,
    pub text: String,
    pub detail: Option<String>,
}
