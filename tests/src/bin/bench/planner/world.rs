//! Nodes, apps and releases for the planner's figures, and numbers that look drawn and are the same in every run.

use std::collections::BTreeMap;

use dinp_common::app::{App, AppKind};
use dinp_common::digest::{Digest, Image};
use dinp_common::health::HealthCheck;
use dinp_common::name::{AppName, NodeName, TeamName};
use dinp_common::node::{Capacity, Node, NodeFacts};
use dinp_common::placement::Placement;
use dinp_common::release::{Release, ReleaseNo, RunSpec};
use dinp_common::size::MiB;
use dinp_planner::observed::{NodeSeen, Observed};
use dinp_planner::reported::Reported;

/// A linear congruential generator (Knuth's constants), of which the high bits are used.
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub fn node_name(at: usize) -> NodeName {
    NodeName::parse(&format!("node-{at:04}")).expect("a node name")
}

pub fn app_name(at: usize) -> AppName {
    AppName::parse(&format!("app-{at:04}")).expect("an app name")
}

/// Nodes that have just reported, with this much memory and in these zones.
pub fn nodes(sizes: impl Iterator<Item = (MiB, String)>) -> (Vec<Node>, Observed) {
    let mut nodes = Vec::new();
    let mut observed = Observed::default();
    for (at, (memory, zone)) in sizes.enumerate() {
        let facts = NodeFacts {
            capacity: Capacity { memory, cpus: 64, addresses: 1_000 },
            labels: BTreeMap::new(),
            zone,
            version: "0".to_owned(),
            docker: Ok("20".to_owned()),
            disk_free: 1,
            disk_total: 2,
        };
        let seen = NodeSeen {
            silent_ms: 0,
            returns: Vec::new(),
            steps: BTreeMap::new(),
            facts,
            instances: Reported::default(),
            cooling: Vec::new(),
            orphans: Vec::new(),
        };
        observed.nodes.insert(node_name(at), seen);
        nodes.push(Node { name: node_name(at), cordoned: false, draining: false });
    }
    (nodes, observed)
}

pub fn release(memory: MiB, placement: Placement) -> Release {
    let spec = RunSpec {
        image: Image { config: Digest::from_sha256([1; 32]), manifest: None, name: "image".to_owned(), bytes: 0 },
        env: BTreeMap::new(),
        memory,
        cpu: None,
        placement,
        port: 8080,
        health: HealthCheck::Http { path: "/health".to_owned() },
        command: None,
        stop_grace_seconds: 10,
    };
    let (note, author, created_at) = ("measured".to_owned(), "bench".to_owned(), String::new());
    Release { number: ReleaseNo(1), spec, note, build: None, author, created_at }
}

/// An app that lives on its first release and wants so many instances.
pub fn app(at: usize, instances: u32) -> App {
    App {
        name: app_name(at),
        team: TeamName::default_team(),
        kind: AppKind::Web,
        instances,
        stopped: false,
        deleted: false,
        live: Some(ReleaseNo(1)),
        generation: 0,
        revision: 1,
        backoff: Default::default(),
        pace: Default::default(),
        created_at: String::new(),
    }
}
