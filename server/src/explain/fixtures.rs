//! One node, one app, and whatever instances a test wants.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use dinp_common::app::{App, AppKind, Backoff};
use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployPhase, DeployState, Strategy};
use dinp_common::digest::{Digest, Image};
use dinp_common::exit::Exit;
use dinp_common::fence::Fence;
use dinp_common::health::{Health, HealthCheck};
use dinp_common::instance::{Instance, InstanceId, Seen, Want};
use dinp_common::name::{AppName, ClusterId, NodeName, TeamName};
use dinp_common::node::{Capacity, Node, NodeFacts, NodeStatus};
use dinp_common::release::{Release, ReleaseNo, RunSpec};
use dinp_common::size::MiB;
use dinp_common::wire::{Assignments, Hello, InstanceReport, PROTOCOL};

use crate::cluster::{SeenNode, Snapshot};

pub fn name(text: &str) -> AppName {
    AppName::parse(text).expect("an app's name")
}

pub fn node() -> NodeName {
    NodeName::parse("n1").expect("a node's name")
}

pub fn facts() -> NodeFacts {
    NodeFacts {
        capacity: Capacity { memory: MiB(1024), cpus: 2, addresses: 200 },
        labels: BTreeMap::new(),
        zone: "a".into(),
        version: "0.1.0".into(),
        docker: Ok("20.10".into()),
        disk_free: 10,
        disk_total: 20,
    }
}

/// What an agent of [`node`] says when it connects.
pub fn hello() -> Hello {
    Hello { protocol: PROTOCOL, node: node(), cluster: None, boot: "boot".into(), facts: facts(), highest: None }
}

pub fn instance_id() -> InstanceId {
    InstanceId::new(&cluster(), 1)
}

fn cluster() -> ClusterId {
    ClusterId::parse("c1").expect("a cluster's id")
}

/// The level of a node that is to have nothing.
pub fn nothing_assigned() -> Assignments {
    let fence = Fence { cluster: cluster(), epoch: 1, holder: "here".into() };
    Assignments { fence, revision: 1, instances: Vec::new(), released: Vec::new(), images: Default::default() }
}

pub fn address() -> SocketAddr {
    SocketAddr::from(([10, 99, 0, 7], 8080))
}

pub fn image() -> Image {
    Image { config: Digest::from_sha256([7; 32]), manifest: None, name: "default/hello:b1".into(), bytes: 5_000_000 }
}

pub fn app(instances: u32) -> App {
    App {
        name: name("hello"),
        team: TeamName::default_team(),
        kind: AppKind::Web,
        instances,
        stopped: false,
        deleted: false,
        live: Some(ReleaseNo(3)),
        generation: 1,
        revision: 9,
        backoff: Backoff::default(),
        pace: Default::default(),
        created_at: "2026-11-21T03:00:00Z".into(),
    }
}

pub fn release(number: u32, memory: u64) -> Release {
    let spec = RunSpec {
        image: image(),
        env: BTreeMap::new(),
        memory: MiB(memory),
        cpu: None,
        placement: Default::default(),
        port: 8080,
        health: HealthCheck::Http { path: "/health".into() },
        command: None,
        stop_grace_seconds: 10,
    };
    Release {
        number: ReleaseNo(number),
        spec,
        note: "deploy of hello".into(),
        build: None,
        author: "admin".into(),
        created_at: "2026-11-21T03:00:00Z".into(),
    }
}

pub fn deploy(state: DeployState) -> Deploy {
    Deploy {
        app: name("hello"),
        number: DeployNo(4),
        kind: DeployKind::Release,
        state,
        phase: DeployPhase::Rollout,
        strategy: Strategy::Rolling,
        from: Some(ReleaseNo(3)),
        before: None,
        to: Some(ReleaseNo(4)),
        generation: 1,
        build: None,
        settings: Default::default(),
        spent_ms: 12_000,
        deadline_ms: 60_000,
        failed_starts: 0,
        paused: None,
        paused_ms: 0,
        failure: None,
        note: "deploy of hello".into(),
        author: "admin".into(),
        created_at: "2026-11-21T03:00:00Z".into(),
    }
}

pub fn exit(code: i64, output: &str) -> Exit {
    Exit { code, oom: false, output: output.into() }
}

/// A snapshot that is built up line by line.
pub struct Scene(pub Snapshot);

impl Scene {
    /// Node `n1` with 1 GiB, and `hello` with release 3 live.
    pub fn new(instances: u32) -> Self {
        let mut snapshot = Snapshot { leading: true, ..Snapshot::default() };
        let seen = SeenNode { status: NodeStatus::Ready, reason: String::new(), facts: Some(facts()), orphans: Vec::new() };
        snapshot.nodes.insert(node(), seen);
        snapshot.desired.nodes.push(Node { name: node(), cordoned: false, draining: false });
        snapshot.desired.apps.push(app(instances));
        snapshot.desired.releases.insert((name("hello"), ReleaseNo(3)), release(3, 256));
        snapshot.desired.releases.insert((name("hello"), ReleaseNo(4)), release(4, 256));
        Self(snapshot)
    }

    pub fn node(mut self, status: NodeStatus, reason: &str) -> Self {
        let seen = self.0.nodes.get_mut(&node()).expect("the node");
        seen.status = status;
        seen.reason = reason.into();
        self
    }

    pub fn hold(mut self, sentence: &str) -> Self {
        self.0.holds.entry(name("hello")).or_default().push(sentence.into());
        self
    }

    /// An instance that takes traffic.
    pub fn serving(self, id: &str, release: u32) -> Self {
        let mut scene =
            self.instance(id, release, Want::Run, true, Some(Seen::Running { address: address(), health: Health::Healthy }));
        scene.0.routed.insert(InstanceId::parse(id).expect("an id"));
        scene
    }

    pub fn instance(mut self, id: &str, release: u32, want: Want, proven: bool, seen: Option<Seen>) -> Self {
        let id = InstanceId::parse(id).expect("an id");
        let index = self.0.desired.instances.len() as u32;
        self.0.desired.instances.push(Instance {
            id: id.clone(),
            app: name("hello"),
            release: ReleaseNo(release),
            generation: 1,
            node: node(),
            index,
            want,
            proven,
            spent_ms: 0,
            address: None,
            reason: "the only node".into(),
        });
        if let Some(seen) = seen {
            let report =
                InstanceReport { app: name("hello"), release: ReleaseNo(release), seen, listening: Vec::new(), restarts: 0 };
            self.0.instances.insert(id, report);
        }
        self
    }

    pub fn listening(mut self, id: &str, address: &str) -> Self {
        let id = InstanceId::parse(id).expect("an id");
        let report = self.0.instances.get_mut(&id).expect("a report");
        report.listening.push(address.parse().expect("an address"));
        self
    }
}
