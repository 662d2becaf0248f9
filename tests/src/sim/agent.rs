//! An agent and its disk, around the real machines: what `agent/src/core.rs` and its tasks do, in steps.

mod disk;
mod execute;
mod link;
mod observe;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use dinp_common::fence::Fence;
use dinp_common::instance::InstanceId;
use dinp_common::name::NodeName;
use dinp_common::node::{Capacity, NodeFacts};
use dinp_common::wire::{AssignmentVersion, Assignments};
use dinp_planner::agent::addresses::Addresses;
use dinp_planner::agent::gate::Admitted;
use dinp_planner::agent::{Convergence, Gate, Observed};

pub use disk::Disk;
pub use execute::CHANGE_DEADLINE;

use super::event::{Event, NodeEvent};
use super::kernel::{Kernel, Ms};
use super::names;
use super::net::Place;
use super::planted::Planted;
use super::world::World;

/// The longest sleep of the machine, and the shortest.
const TICK_MAX: Ms = 5_000;
const TICK_MIN: Ms = 20;

pub struct Agent {
    pub name: NodeName,
    pub life: u32,
    pub up: bool,
    /// It ends at the next moment at which that hurts most.
    pub doomed: bool,
    pub frozen_until: Ms,
    /// It writes to disk and takes nothing in meanwhile.
    pub busy_until: Ms,
    started: Ms,
    boot: String,
    pub machine: Convergence,
    gate: Option<Gate>,
    kept_at: Option<AssignmentVersion>,
    kept_version: u64,
    table_revision: u64,
    observed: Rc<Observed>,
    links: Vec<link::Link>,
    probes: BTreeMap<InstanceId, observe::Probing>,
    operations: BTreeMap<u64, execute::Operation>,
    waiting: BTreeMap<u64, execute::Waiting>,
    table: disk::Saver<Addresses>,
    level: disk::Saver<Assignments>,
    relist: observe::Relist,
    pub facts: NodeFacts,
    /// The ids in Docker's last list; only for a bug that believes it.
    pub last_list: Vec<String>,
    tick: u64,
    tick_at: Option<Ms>,
    /// When a leader's word last counted, in this life.
    pub heard: Option<Ms>,
    /// Since when nothing ails it.
    pub well_since: Ms,
}

impl Agent {
    pub fn new(index: usize, kernel: &Kernel) -> Self {
        let setting = &kernel.setting;
        let capacity = Capacity { memory: setting.memory, cpus: setting.cpus, addresses: 0 };
        let facts = NodeFacts {
            capacity,
            labels: setting.asks.labels(index),
            zone: setting.asks.zone(index),
            version: "sim".to_owned(),
            docker: Ok("sim".to_owned()),
            disk_free: 1,
            disk_total: 2,
        };
        Self {
            name: names::node(index),
            life: 0,
            up: false,
            doomed: false,
            frozen_until: 0,
            busy_until: 0,
            started: 0,
            boot: String::new(),
            machine: Convergence::new(Addresses::nowhere(), None),
            gate: None,
            kept_at: None,
            kept_version: 0,
            table_revision: 0,
            observed: Rc::default(),
            links: (0..setting.servers).map(|_| link::Link::default()).collect(),
            probes: BTreeMap::new(),
            operations: BTreeMap::new(),
            waiting: BTreeMap::new(),
            table: disk::Saver::default(),
            level: disk::Saver::default(),
            relist: observe::Relist::default(),
            facts,
            last_list: Vec::new(),
            tick: 0,
            tick_at: None,
            heard: None,
            well_since: 0,
        }
    }

    /// The time since it started.
    pub fn elapsed(&self, now: Ms) -> Duration {
        Duration::from_millis(now - self.started)
    }

    /// Instances it can hold at once, as it says.
    pub fn addresses(&self) -> u32 {
        self.observed.addresses
    }

    /// The containers of ours that nobody has told it of, by their ids.
    pub fn orphans(&self) -> Vec<String> {
        self.observed.orphans.iter().filter_map(|orphan| self.machine.container(&orphan.instance)).collect()
    }

    pub fn highest(&self) -> Option<&Fence> {
        self.gate.as_ref().and_then(Gate::accepted)
    }

    /// Since when it is up and nothing was heard of any leader.
    pub fn leaderless_since(&self) -> Ms {
        self.heard.unwrap_or(self.started)
    }
}

impl World {
    pub fn start_agent(&mut self, n: usize) {
        let fresh = self.k.fresh();
        let disk = self.disks[n].clone();
        let life = self.nodes[n].life + 1;
        let addresses = disk.addresses.unwrap_or_else(Addresses::nowhere);
        let fresh_table = addresses.revision();
        let gate = if self.k.is_planted(Planted::GateForgotten) { None } else { disk.gate };
        self.nodes[n] = Agent {
            life,
            up: true,
            started: self.k.now,
            boot: format!("{fresh:08}"),
            kept_at: disk.assignments.as_deref().map(Assignments::at),
            machine: Convergence::new(addresses, disk.assignments.as_deref().cloned()),
            gate,
            table_revision: fresh_table,
            table: disk::Saver::at(fresh_table),
            well_since: self.k.now,
            ..Agent::new(n, &self.k)
        };
        crate::say!(self.k, self.nodes[n], "starts");
        self.watch_agent_starts(n);
        for server in 0..self.k.setting.servers {
            let attempt = self.nodes[n].links[server].attempt;
            let delay = self.k.between(1, 50);
            self.k.after(delay, Event::Node(n, life, NodeEvent::Connect { server, attempt }));
        }
        self.after_input(n);
        if self.nodes[n].gate.is_some() {
            self.joined(n);
        }
    }

    /// It ends between two steps. What it asked Docker for may still happen.
    pub fn kill_agent(&mut self, n: usize) {
        self.watch_dies(Place::Node(n));
        let agent = &mut self.nodes[n];
        agent.up = false;
        let links: Vec<(usize, u64)> =
            agent.links.iter().enumerate().filter_map(|(server, link)| Some((server, link.open.as_ref()?.id))).collect();
        crate::say!(self.k, self.nodes[n], "dies");
        for (server, link) in links {
            // The server's socket is told, unless the network is cut; then it finds out by itself.
            if !self.k.net.is_cut(Place::Node(n), Place::Server(server)) {
                self.servers[server].drop_link(n, link);
            }
        }
    }

    pub fn node_event(&mut self, n: usize, event: NodeEvent) {
        match event {
            NodeEvent::Connect { server, attempt } => self.connect(n, server, attempt),
            NodeEvent::Unwelcome { server, link } => self.unwelcome(n, server, link),
            NodeEvent::Welcome { server, link } => self.welcome(n, server, link),
            NodeEvent::Closed { server, link } => self.session_ends(n, server, link),
            NodeEvent::Unreadable { server, link } => {
                self.link_ails(n);
                self.session_ends(n, server, link);
            }
            NodeEvent::Pong { server, link } => self.hear_server(n, server, link),
            NodeEvent::Beat { server, link } => self.beat(n, server, link),
            NodeEvent::PingDue { server, link } => self.ping_due(n, server, link),
            NodeEvent::Assign { server, link, assignments } => self.assigned(n, server, link, assignments),
            NodeEvent::GateWritten { server, link, assignments } => self.gate_written(n, server, link, &assignments),
            NodeEvent::TableWritten(revision, addresses) => self.table_written(n, revision, *addresses),
            NodeEvent::LevelWritten(version, level) => self.level_written(n, version, level),
            NodeEvent::WriteAgain => self.write_again(n),
            NodeEvent::Tick(tick) => {
                if self.nodes[n].tick == tick {
                    self.nodes[n].tick_at = None;
                    self.input(n, dinp_planner::agent::Event::Tick);
                }
            }
            NodeEvent::Dies => self.ends(Place::Node(n)),
            NodeEvent::List(ask) => self.list(n, ask),
            NodeEvent::Listed { since, containers } => self.listed(n, since, containers),
            NodeEvent::Network => self.network(n),
            NodeEvent::News(news) => self.docker_news(n, news),
            NodeEvent::Answered { operation, answer } => self.operation_answered(n, operation, answer),
            NodeEvent::OperationLate(operation) => self.operation_late(n, operation),
            NodeEvent::StartLate(start) => self.start_late(n, start),
            NodeEvent::Examined { instance, found } => {
                self.input(n, dinp_planner::agent::Event::Examined { instance, found });
            }
            NodeEvent::Probe { instance, probe } => self.probe(n, &instance, probe),
        }
    }

    /// The machine takes something in, and what it asks for begins.
    pub(super) fn input(&mut self, n: usize, event: dinp_planner::agent::Event) {
        let agent = &mut self.nodes[n];
        let now = agent.elapsed(self.k.now);
        let effects = agent.machine.step(now, event);
        let revision = agent.machine.addresses().revision();
        if agent.table_revision != revision {
            agent.table_revision = revision;
            let table = agent.machine.addresses().clone();
            self.save_table(n, revision, table);
        }
        for effect in effects {
            self.execute(n, effect, revision);
        }
        self.after_input(n);
    }

    /// What is seen is told where it changed, and the next moment that matters is noted.
    fn after_input(&mut self, n: usize) {
        let agent = &mut self.nodes[n];
        let elapsed = agent.elapsed(self.k.now);
        let observed = agent.machine.observed(elapsed);
        if *agent.observed != observed {
            agent.observed = Rc::new(observed);
            for server in 0..self.nodes[n].links.len() {
                self.tell_change(n, server);
            }
        }
        let agent = &mut self.nodes[n];
        let due = agent.machine.next_due(elapsed).map_or(TICK_MAX, |due| due.saturating_sub(elapsed).as_millis() as Ms);
        let at = self.k.now + due.clamp(TICK_MIN, TICK_MAX);
        if agent.tick_at.is_none_or(|known| at < known || known <= self.k.now) {
            agent.tick += 1;
            agent.tick_at = Some(at);
            let event = Event::Node(n, agent.life, NodeEvent::Tick(agent.tick));
            self.k.at(at, event);
        }
    }

    fn assigned(&mut self, n: usize, server: usize, link: u64, assignments: Rc<Assignments>) {
        if !self.is_open(n, server, link) {
            return;
        }
        self.hear_server(n, server, link);
        let Some(mut gate) = self.nodes[n].gate.clone() else { return self.session_ends(n, server, link) };
        let admitted = gate.admit(&assignments.fence);
        match self.twist_admitted(admitted) {
            Ok(Admitted::Known) => self.accept(n, &assignments),
            Ok(Admitted::Raised) => {
                let delay = self.disk_delay(n);
                self.nodes[n].busy_until = self.k.now + delay;
                let event = NodeEvent::GateWritten { server, link, assignments };
                let life = self.nodes[n].life;
                self.k.after(delay, Event::Node(n, life, event));
            }
            Err(refusal) => {
                crate::say!(self.k, self.nodes[n], "refuses: {refusal}");
                let epoch = gate.highest().epoch;
                self.tell_server(n, server, super::event::ServerEvent::Refused { node: n, link, epoch });
            }
        }
    }

    fn gate_written(&mut self, n: usize, server: usize, link: u64, assignments: &Assignments) {
        let Some(mut gate) = self.nodes[n].gate.clone() else { return };
        if gate.admit(&assignments.fence).is_err() {
            return;
        }
        if self.disks[n].full {
            return self.session_ends(n, server, link);
        }
        self.disks[n].gate = Some(gate.clone());
        self.nodes[n].gate = Some(gate);
        self.accept(n, assignments);
    }

    fn accept(&mut self, n: usize, assignments: &Assignments) {
        self.watch_accepted(n, assignments);
        let assignments = &self.twist_accepted(assignments);
        let agent = &mut self.nodes[n];
        agent.heard = Some(self.k.now);
        if agent.kept_at < Some(assignments.at()) {
            agent.kept_at = Some(assignments.at());
            agent.kept_version += 1;
            let version = agent.kept_version;
            self.save_level(n, version, Rc::new(assignments.clone()));
        }
        self.input(n, dinp_planner::agent::Event::Assigned(assignments.clone()));
    }
}

impl std::fmt::Display for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name.as_str())
    }
}
