//! A world small enough to read: agents that do what they are told, routers that confirm, and a script that makes
//! them misbehave. Time is a number that the script moves.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::app::{App, AppKind, Backoff};
use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployPhase, DeployState, Failure, Strategy};
use dinp_common::digest::{Digest, Image};
use dinp_common::exit::Exit;
use dinp_common::fence::Fence;
use dinp_common::health::{Health, HealthCheck};
use dinp_common::instance::{InstanceId, Seen, Want};
use dinp_common::name::{AppName, ClusterId, Host, NodeName, RouterId, TeamName};
use dinp_common::node::{Capacity, Node, NodeFacts};
use dinp_common::plan::{Change, Desired};
use dinp_common::release::{Release, ReleaseNo, RunSpec};
use dinp_common::route::TableVersion;
use dinp_common::size::MiB;
use dinp_common::wire::InstanceReport;
use dinp_planner::apply::apply;
use dinp_planner::observed::{NodeSeen, Observed, RouterSeen};
use dinp_planner::plan::{Input, Plan, plan};
use dinp_planner::policy::Policy;
use dinp_planner::routes::routes;
use dinp_planner::table::Publisher;

/// What a container of a release does once it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Healthy after this many milliseconds.
    HealthyAfter(u64),
    /// Ends with this code after this many milliseconds.
    ExitsAfter(u64, i64),
    /// Runs and never answers.
    NeverHealthy,
}

#[derive(Debug, Clone)]
pub struct Container {
    pub age_ms: u64,
    pub behaviour: Behaviour,
    pub exit: Option<Exit>,
    pub sick: Option<String>,
    pub was_healthy: bool,
    pub gone: bool,
}

pub struct World {
    pub desired: Desired,
    pub policy: Policy,
    pub publisher: Publisher,
    pub leading_ms: u64,
    pub behaviours: BTreeMap<(AppName, ReleaseNo), Behaviour>,
    pub containers: BTreeMap<InstanceId, Container>,
    pub memory: BTreeMap<NodeName, MiB>,
    pub silent: BTreeMap<NodeName, u64>,
    pub router_silent_ms: u64,
    pub confirmed: Option<TableVersion>,
    pub in_flight: BTreeMap<InstanceId, u32>,
    /// Agents stop doing what they are told, as a hung Docker makes them.
    pub hung: BTreeSet<NodeName>,
    pub finished: Vec<(AppName, DeployNo, DeployState, Option<Failure>)>,
    pub holds: BTreeMap<AppName, Vec<String>>,
    next_deploy: u32,
}

pub fn app_name(name: &str) -> AppName {
    AppName::parse(name).expect("app name")
}

pub fn node_name(name: &str) -> NodeName {
    NodeName::parse(name).expect("node name")
}

fn fence(epoch: u64) -> Fence {
    Fence { cluster: ClusterId::parse("c").expect("cluster"), epoch, holder: format!("server-{epoch}") }
}

pub fn spec(memory: MiB) -> RunSpec {
    RunSpec {
        image: Image { config: Digest::from_sha256([1; 32]), manifest: None, name: "image".into(), bytes: 0 },
        env: BTreeMap::new(),
        memory,
        port: 8080,
        health: HealthCheck::Http { path: "/health".into() },
        command: None,
        stop_grace_seconds: 10,
    }
}

impl World {
    pub fn new(nodes: &[(&str, u64)]) -> Self {
        let desired = Desired {
            nodes: nodes.iter().map(|(name, _)| Node { name: node_name(name), cordoned: false }).collect(),
            routers: vec![RouterId::parse("r1").expect("router")],
            next_instance: 1,
            ..Desired::default()
        };
        Self {
            desired,
            policy: Policy::default(),
            publisher: Publisher::new(fence(1)),
            leading_ms: 0,
            behaviours: BTreeMap::new(),
            containers: BTreeMap::new(),
            memory: nodes.iter().map(|(name, memory)| (node_name(name), MiB(*memory))).collect(),
            silent: BTreeMap::new(),
            router_silent_ms: 0,
            confirmed: None,
            in_flight: BTreeMap::new(),
            hung: BTreeSet::new(),
            finished: Vec::new(),
            holds: BTreeMap::new(),
            next_deploy: 1,
        }
    }

    /// What the API does for a deploy of a new release (or of an existing one, for a rollback).
    pub fn deploy(&mut self, app: &str, instances: u32, memory: MiB, behaviour: Behaviour, strategy: Strategy) -> DeployNo {
        let name = app_name(app);
        let number = self.desired.releases.keys().filter(|(other, _)| *other == name).map(|(_, n)| n.0).max().unwrap_or(0) + 1;
        let release = ReleaseNo(number);
        self.behaviours.insert((name.clone(), release), behaviour);
        let snapshot = Release {
            number: release,
            spec: spec(memory),
            note: "test".into(),
            build: None,
            author: "test".into(),
            created_at: String::new(),
        };
        self.desired.releases.insert((name.clone(), release), snapshot);
        self.ensure_app(&name);
        self.change_app(&name, |app| app.instances = instances);
        self.begin(&name, DeployKind::Release, Some(release), None, strategy)
    }

    pub fn change_app(&mut self, name: &AppName, change: impl FnOnce(&mut App)) {
        change(self.desired.apps.iter_mut().find(|app| app.name == *name).expect("app"));
    }

    fn ensure_app(&mut self, name: &AppName) {
        if self.desired.app(name).is_none() {
            self.desired.apps.push(App {
                name: name.clone(),
                team: TeamName::default_team(),
                kind: AppKind::Web,
                instances: 1,
                stopped: false,
                deleted: false,
                live: None,
                generation: 0,
                revision: 1,
                backoff: Backoff::default(),
                created_at: String::new(),
            });
            self.desired.apps.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }

    pub fn begin(
        &mut self,
        name: &AppName,
        kind: DeployKind,
        to: Option<ReleaseNo>,
        generation: Option<u32>,
        strategy: Strategy,
    ) -> DeployNo {
        let app = self.desired.app(name).expect("app").clone();
        for old in self.desired.deploys.iter().filter(|deploy| deploy.app == *name) {
            self.finished.push((name.clone(), old.number, DeployState::Superseded, None));
        }
        self.desired.deploys.retain(|deploy| deploy.app != *name);
        let number = DeployNo(self.next_deploy);
        self.next_deploy += 1;
        self.desired.deploys.push(Deploy {
            app: name.clone(),
            number,
            kind,
            state: DeployState::Running,
            phase: DeployPhase::Rollout,
            strategy,
            from: app.live,
            to: to.or(app.live),
            generation: generation.unwrap_or(app.generation),
            build: None,
            settings: Default::default(),
            spent_ms: 0,
            deadline_ms: 300_000,
            failed_starts: 0,
            failure: None,
            note: "test".into(),
            author: "test".into(),
            created_at: String::new(),
        });
        number
    }

    /// Another server takes over: all that was only seen is forgotten.
    pub fn new_leader(&mut self) {
        let epoch = self.publisher.at().epoch + 1;
        self.publisher = Publisher::new(fence(epoch));
        self.leading_ms = 0;
    }

    pub fn observed(&self) -> Observed {
        let nodes = self.memory.iter().filter(|(node, _)| self.silent.get(*node).is_none_or(|ms| *ms < u64::MAX)).map(
            |(node, memory)| {
                let seen = NodeSeen {
                    silent_ms: self.silent.get(node).copied().unwrap_or(0),
                    facts: facts(*memory),
                    instances: self.reports(node),
                    cooling: Vec::new(),
                    orphans: Vec::new(),
                };
                (node.clone(), seen)
            },
        );
        let router =
            RouterSeen { silent_ms: self.router_silent_ms, confirmed: self.confirmed, in_flight: self.in_flight.clone() };
        Observed { nodes: nodes.collect(), routers: [(self.desired.routers[0].clone(), router)].into() }
    }

    fn reports(&self, node: &NodeName) -> BTreeMap<InstanceId, InstanceReport> {
        self.desired
            .instances
            .iter()
            .filter(|instance| instance.node == *node)
            .map(|instance| {
                let seen = self.containers.get(&instance.id).map_or(Seen::Pending { step: "waiting".into() }, Container::seen);
                let report = InstanceReport {
                    app: instance.app.clone(),
                    release: instance.release,
                    seen,
                    listening: Vec::new(),
                    restarts: 0,
                };
                (instance.id.clone(), report)
            })
            .collect()
    }

    /// One pass of the leader after `elapsed_ms`, then everybody does what they were told.
    pub fn pass(&mut self, elapsed_ms: u64) -> Plan {
        self.leading_ms += elapsed_ms;
        self.age(elapsed_ms);
        let observed = self.observed();
        let decided = plan(Input {
            desired: &self.desired,
            observed: &observed,
            publisher: &self.publisher,
            policy: &self.policy,
            elapsed_ms,
            leading_ms: self.leading_ms,
        });
        for change in &decided.changes {
            if let Change::Finish { app, deploy, state, failure } = change {
                self.finished.push((app.clone(), *deploy, *state, failure.clone()));
            }
        }
        apply(&mut self.desired, &decided.changes);
        self.holds.clone_from(&decided.holds);
        let table = routes(&self.desired, &observed, &Host::parse("localhost").expect("host"), self.leading_ms, &self.policy);
        self.publisher.publish(&table);
        if self.router_silent_ms == 0 {
            self.confirmed = Some(self.publisher.at());
        }
        self.agents_act();
        decided
    }

    /// Passes without time until nothing more is decided; a world that never rests is a bug.
    pub fn settle(&mut self) {
        for _ in 0..200 {
            if self.pass(0).changes.is_empty() {
                return;
            }
        }
        panic!("the planner never rests: {:#?}", self.pass(0).changes);
    }

    /// Lets `ms` pass in steps of at most a second.
    pub fn run(&mut self, ms: u64) {
        let mut left = ms;
        while left > 0 {
            let step = left.min(1_000);
            self.pass(step);
            self.settle();
            left -= step;
        }
    }

    fn age(&mut self, ms: u64) {
        for container in self.containers.values_mut().filter(|container| container.exit.is_none() && !container.gone) {
            container.age_ms += ms;
            match container.behaviour {
                Behaviour::ExitsAfter(after, code) if container.age_ms >= after => {
                    container.exit = Some(Exit { code, oom: false, output: "boom\n".into() });
                }
                Behaviour::HealthyAfter(after) if container.age_ms >= after => container.was_healthy = true,
                Behaviour::ExitsAfter(..) | Behaviour::HealthyAfter(_) | Behaviour::NeverHealthy => {}
            }
        }
    }

    fn agents_act(&mut self) {
        let mut fresh = Vec::new();
        for instance in &self.desired.instances {
            if self.hung.contains(&instance.node) || self.silent.get(&instance.node).is_some_and(|ms| *ms > 0) {
                continue;
            }
            match instance.want {
                Want::Run | Want::Drain if !self.containers.contains_key(&instance.id) => {
                    let behaviour = self.behaviours[&(instance.app.clone(), instance.release)];
                    let was_healthy = behaviour == Behaviour::HealthyAfter(0);
                    let container = Container { age_ms: 0, behaviour, exit: None, sick: None, was_healthy, gone: false };
                    fresh.push((instance.id.clone(), container));
                }
                Want::Run | Want::Drain => {}
                Want::Stop => {
                    if let Some(container) = self.containers.get_mut(&instance.id) {
                        container.gone = true;
                    } else {
                        let behaviour = Behaviour::NeverHealthy;
                        let container =
                            Container { age_ms: 0, behaviour, exit: None, sick: None, was_healthy: false, gone: true };
                        fresh.push((instance.id.clone(), container));
                    }
                }
            }
        }
        self.containers.extend(fresh);
    }

    /// Instances a visitor can reach now, with their release.
    pub fn routed(&self, app: &str) -> Vec<ReleaseNo> {
        let host = Host::parse(&format!("{app}.localhost")).expect("host");
        self.publisher.table().get(&host).map_or_else(Vec::new, |route| route.endpoints.iter().map(|e| e.release).collect())
    }

    pub fn ids(&self, app: &str) -> BTreeSet<InstanceId> {
        let app = app_name(app);
        self.desired
            .instances
            .iter()
            .filter(|instance| instance.app == app && instance.want == Want::Run)
            .map(|i| i.id.clone())
            .collect()
    }
}

impl Container {
    fn seen(&self) -> Seen {
        let address = "10.0.0.1:8080".parse().expect("address");
        match (&self.exit, &self.sick) {
            _ if self.gone => Seen::Gone,
            (Some(exit), _) => Seen::Exited { exit: exit.clone() },
            (None, Some(why)) => Seen::Running { address, health: Health::Unhealthy { last: why.clone() } },
            (None, None) if self.was_healthy => Seen::Running { address, health: Health::Healthy },
            (None, None) => Seen::Running { address, health: Health::Unproven { last: Some("connection refused".into()) } },
        }
    }
}

fn facts(memory: MiB) -> NodeFacts {
    NodeFacts {
        capacity: Capacity { memory, cpus: 2, addresses: 1_000 },
        labels: BTreeMap::new(),
        zone: "default".into(),
        version: "0".into(),
        docker: Ok("20".into()),
        disk_free: 1,
        disk_total: 2,
    }
}
