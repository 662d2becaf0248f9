//! A world small enough to read: agents that do what they are told, routers that confirm, and a script that makes
//! them misbehave. Time is a number that the script moves.

mod machines;
mod wishes;

pub use wishes::spec;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use dinp_common::deploy::{DeployNo, DeployState, Failure};
use dinp_common::exit::Exit;
use dinp_common::fence::Fence;
use dinp_common::health::Health;
use dinp_common::instance::{InstanceId, Seen};
use dinp_common::name::{AppName, ClusterId, Host, NodeName, RouterId};
use dinp_common::plan::{Change, Desired};
use dinp_common::release::{ReleaseNo, RunSpec};
use dinp_common::route::{RouteTable, TableVersion};
use dinp_common::size::MiB;
use dinp_planner::apply::apply;
use dinp_planner::observed::{NodeSeen, Observed, RouterSeen};
use dinp_planner::plan::{Input, Plan, plan};
use dinp_planner::policy::Policy;
use dinp_planner::routes::routes;
use dinp_planner::steadiness::Steadiness;
use dinp_planner::steps::Steps;
use dinp_planner::table::Publisher;

/// What a container of a release does once it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Healthy after this many milliseconds.
    HealthyAfter(u64),
    /// Ends with this code after this many milliseconds.
    ExitsAfter(u64, i64),
    /// Runs and never answers.
    NeverHealthy,
    /// Docker does not create it.
    Refused(String),
}

#[derive(Debug, Clone)]
pub struct Container {
    pub address: u32,
    pub age_ms: u64,
    pub behaviour: Behaviour,
    pub exit: Option<Exit>,
    pub sick: Option<String>,
    pub healthy: bool,
    pub gone: bool,
}

/// An agent and its Docker. Addresses are given out as greedily as the protocol allows.
#[derive(Debug, Clone)]
pub struct Machine {
    pub memory: MiB,
    pub addresses: u32,
    pub labels: BTreeMap<String, String>,
    pub zone: String,
    /// Since when nothing is heard of it; its containers run on.
    pub silent_ms: Option<u64>,
    /// Since its last report, and how steadily they came.
    pub unheard_ms: u64,
    pub steadiness: Steadiness,
    pub steps: Steps,
    /// It reports and does nothing it is told, as with a hung Docker.
    pub hung: bool,
    /// Its last report to the present leader.
    last: Option<NodeSeen>,
    leases: BTreeMap<InstanceId, u32>,
    cooling: BTreeSet<InstanceId>,
}

#[derive(Debug, Clone, Default)]
pub struct Router {
    pub silent_ms: Option<u64>,
    /// It says that it lives and takes in no new table.
    pub stalled: bool,
    /// What it routes by. A silent router goes on with what it has.
    pub table: RouteTable,
    pub confirmed: Option<TableVersion>,
    pub in_flight: BTreeMap<InstanceId, u32>,
    /// Its last word to the present leader.
    last: Option<RouterSeen>,
}

pub struct World {
    pub desired: Desired,
    pub policy: Policy,
    pub publisher: Publisher,
    pub leading_ms: u64,
    pub now_ms: u64,
    pub behaviours: BTreeMap<(AppName, ReleaseNo), Behaviour>,
    pub containers: BTreeMap<InstanceId, Container>,
    pub machines: BTreeMap<NodeName, Machine>,
    pub routers: BTreeMap<RouterId, Router>,
    pub finished: Vec<(AppName, DeployNo, DeployState, Option<Failure>)>,
    pub holds: BTreeMap<AppName, Vec<String>>,
    /// What must never happen and did.
    pub violations: Vec<String>,
    deploys: BTreeMap<AppName, u32>,
    asks: BTreeMap<AppName, RunSpec>,
}

pub fn app_name(name: &str) -> AppName {
    AppName::parse(name).expect("app name")
}

pub fn node_name(name: &str) -> NodeName {
    NodeName::parse(name).expect("node name")
}

pub fn router_id(name: &str) -> RouterId {
    RouterId::parse(name).expect("router id")
}

pub fn domain() -> Host {
    Host::parse("localhost").expect("host")
}

fn fence(epoch: u64) -> Fence {
    Fence { cluster: ClusterId::parse("c").expect("cluster"), epoch, holder: format!("server-{epoch}") }
}

impl World {
    pub fn new() -> Self {
        Self {
            desired: Desired { next_instance: 1, ..Desired::default() },
            policy: Policy::default(),
            publisher: Publisher::new(fence(1)),
            leading_ms: 0,
            now_ms: 0,
            behaviours: BTreeMap::new(),
            containers: BTreeMap::new(),
            machines: BTreeMap::new(),
            routers: BTreeMap::new(),
            finished: Vec::new(),
            holds: BTreeMap::new(),
            violations: Vec::new(),
            deploys: BTreeMap::new(),
            asks: BTreeMap::new(),
        }
    }

    /// Another server takes over: all that was only seen is forgotten.
    pub fn new_leader(&mut self) {
        let epoch = self.publisher.at().epoch + 1;
        self.publisher = Publisher::new(fence(epoch));
        self.leading_ms = 0;
        for machine in self.machines.values_mut() {
            (machine.last, machine.steadiness, machine.steps) = (None, Steadiness::default(), Steps::default());
        }
        self.routers.values_mut().for_each(|router| router.last = None);
    }

    pub fn observed(&self) -> Observed {
        let node = |(name, machine): (&NodeName, &Machine)| {
            let silent_ms = machine.silent_ms.unwrap_or(0);
            let returns = machine.steadiness.returns(silent_ms);
            let steps = machine.steps.spent(self.now_ms);
            let seen = NodeSeen { silent_ms, returns, steps, ..machine.last.clone()? };
            Some((name.clone(), seen))
        };
        let router = |(name, router): (&RouterId, &Router)| {
            let seen = RouterSeen { silent_ms: router.silent_ms.unwrap_or(0), ..router.last.clone()? };
            Some((name.clone(), seen))
        };
        Observed {
            nodes: self.machines.iter().filter_map(node).collect(),
            routers: self.routers.iter().filter_map(router).collect(),
        }
    }

    pub fn input<'a>(&'a self, observed: &'a Observed, elapsed_ms: u64) -> Input<'a> {
        Input {
            desired: &self.desired,
            observed,
            publisher: &self.publisher,
            policy: &self.policy,
            elapsed_ms,
            leading_ms: self.leading_ms,
        }
    }

    /// One pass of the leader after `elapsed_ms`, then everybody does what they were told. `false` with the plan:
    /// nothing moved, and another pass without time would change nothing.
    pub fn pass(&mut self, elapsed_ms: u64) -> (Plan, bool) {
        self.leading_ms += elapsed_ms;
        self.now_ms += elapsed_ms;
        self.age(elapsed_ms);
        self.everybody_reports();
        let observed = self.observed();
        let decided = plan(self.input(&observed, elapsed_ms));
        for change in &decided.changes {
            match change {
                Change::Finish { app, deploy, state, failure } => {
                    self.finished.push((app.clone(), *deploy, *state, failure.clone()));
                }
                Change::Forget { instance } => self.publisher.forget(instance),
                _ => {}
            }
        }
        apply(&mut self.desired, &decided.changes);
        self.holds.clone_from(&decided.holds);
        let table = routes(&self.desired, &observed, &domain(), self.leading_ms, &self.policy);
        let published = self.publisher.publish(&table).is_some();
        self.routers_follow();
        let acted = self.agents_act();
        let moved = !decided.changes.is_empty() || published || acted;
        (decided, moved)
    }

    /// Passes after `ms`, then passes without time, as nudges make them, until nothing moves; a world that never
    /// rests is a bug.
    pub fn step(&mut self, ms: u64, mut seen: impl FnMut(&World, &Plan)) {
        let mut elapsed = ms;
        for _ in 0..400 {
            let (decided, moved) = self.pass(elapsed);
            elapsed = 0;
            seen(self, &decided);
            if !moved {
                return;
            }
        }
        panic!("the planner never rests: {:#?}", self.pass(0).0.changes);
    }

    /// Instances a visitor is sent to by the newest table, with their release.
    pub fn routed(&self, app: &AppName) -> Vec<(InstanceId, ReleaseNo)> {
        let host = Host::parse(&format!("{app}.{}", domain())).expect("host");
        let endpoints = self.publisher.table().get(&host).map(|route| route.endpoints.as_slice()).unwrap_or_default();
        endpoints.iter().map(|endpoint| (endpoint.instance.clone(), endpoint.release)).collect()
    }
}

/// The address number `address` of the `node`th machine.
fn socket(node: usize, address: u32) -> SocketAddr {
    let [_, _, high, low] = address.to_be_bytes();
    SocketAddr::from(([10, node as u8, high, low], 8080))
}

impl Container {
    pub fn runs(&self) -> bool {
        self.exit.is_none() && !self.gone
    }

    pub fn answers(&self) -> bool {
        self.runs() && self.healthy && self.sick.is_none()
    }

    fn seen(&self, node: usize) -> Seen {
        let address = socket(node, self.address);
        match (&self.exit, &self.sick, &self.behaviour) {
            _ if self.gone => Seen::Gone,
            (Some(exit), _, _) => Seen::Exited { exit: exit.clone() },
            (None, _, Behaviour::Refused(why)) => Seen::Failed { why: why.clone() },
            (None, Some(why), _) => Seen::Running { address, health: Health::Unhealthy { last: why.clone() } },
            (None, None, _) if self.healthy => Seen::Running { address, health: Health::Healthy },
            (None, None, _) => Seen::Running { address, health: Health::Unproven { last: Some("connection refused".into()) } },
        }
    }
}
