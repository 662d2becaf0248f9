//! Everything there is, and what each event does to it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use dinp_common::name::AppName;
use dinp_common::release::ReleaseNo;
use dinp_planner::agent::ContainerState;

use super::agent::{Agent, Disk};
use super::docker::{Answer, Behaviour, Call, Docker, News};
use super::event::{CallFate, DockerEvent, Event, NodeEvent, StoreAnswer, StoreCall, StoreOp};
use super::invariants::Watch;
use super::kernel::{Kernel, Ms};
use super::net::Place;
use super::planted::Planted;
use super::redis::Redis;
use super::router::Router;
use super::server::Server;
use super::store::{Fenced, Store};

/// How long a call on the store may take, everything included.
const STORE_DEADLINE: Ms = 10_000;

pub struct World {
    pub k: Kernel,
    pub store: Store,
    pub redis: Redis,
    pub servers: Vec<Server>,
    pub nodes: Vec<Agent>,
    pub disks: Vec<Disk>,
    pub docker: Vec<Docker>,
    /// Counts the starts of each engine.
    pub engines: Vec<u32>,
    pub routers: Vec<Router>,
    pub behaviours: BTreeMap<(AppName, ReleaseNo), Behaviour>,
    pub watch: Watch,
    pub done: bool,
}

/// The addresses a node gives out. No two nodes share one.
pub fn addresses_of(node: usize, count: u32) -> (Ipv4Addr, Ipv4Addr) {
    let first = u32::from(Ipv4Addr::new(10, node as u8 + 1, 0, 2));
    (first.into(), (first + count - 1).into())
}

/// The node an address is on.
pub fn node_of(address: SocketAddr) -> Option<(usize, Ipv4Addr)> {
    let SocketAddr::V4(address) = address else { return None };
    let node = usize::from(address.ip().octets()[1]).checked_sub(1)?;
    Some((node, *address.ip()))
}

impl World {
    pub fn new(mut k: Kernel) -> Self {
        let setting = k.setting.clone();
        let nodes: Vec<Agent> = (0..setting.nodes).map(|n| Agent::new(n, &k)).collect();
        let mut world = Self {
            store: Store::default(),
            redis: Redis::default(),
            servers: (0..setting.servers).map(|s| Server::new(s, &mut k)).collect(),
            disks: vec![Disk::default(); setting.nodes],
            docker: (0..setting.nodes).map(|_| Docker::default()).collect(),
            engines: vec![0; setting.nodes],
            nodes,
            routers: (0..setting.routers).map(Router::new).collect(),
            behaviours: BTreeMap::new(),
            watch: Watch::default(),
            done: false,
            k,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for n in 0..self.nodes.len() {
            self.add_foreign(n);
            self.start_agent(n);
        }
        (0..self.servers.len()).for_each(|s| self.start_server(s));
        (0..self.routers.len()).for_each(|r| self.start_router(r));
        self.k.after(3_000, Event::People);
        self.k.after(20_000, Event::Fault);
        self.k.after(10_000, Event::Later(super::invariants::Later::Progress));
        let calm_at = self.k.setting.calm_at;
        self.k.at(calm_at, Event::Calm);
    }

    /// Takes the next event. False when it is over.
    pub fn step(&mut self) -> bool {
        let Some(event) = self.k.next() else { return false };
        match event {
            Event::Server(s, life, inner) => {
                let server = &self.servers[s];
                if server.up && server.life == life {
                    match server.frozen_until {
                        until if until > self.k.now => self.k.at(until, Event::Server(s, life, inner)),
                        _ => self.server_event(s, inner),
                    }
                }
            }
            Event::Node(n, life, inner) => {
                let agent = &self.nodes[n];
                if agent.up && agent.life == life {
                    let until = agent.frozen_until.max(if waits_for_core(&inner) { agent.busy_until } else { 0 });
                    match until {
                        until if until > self.k.now => self.k.at(until, Event::Node(n, life, inner)),
                        _ => self.node_event(n, inner),
                    }
                }
            }
            Event::Router(r, life, inner) => {
                let router = &self.routers[r];
                if router.up && router.life == life {
                    match router.frozen_until {
                        until if until > self.k.now => self.k.at(until, Event::Router(r, life, inner)),
                        _ => self.router_event(r, inner),
                    }
                }
            }
            Event::Docker(n, engine, inner) => {
                if self.engines[n] == engine {
                    self.docker_event(n, engine, inner);
                }
            }
            Event::Store(call) => self.store_call(call),
            Event::Redis(call) => self.redis_call(call),
            Event::People => self.people(),
            Event::Built(build, spec) => self.built(build, spec),
            Event::Fault => self.fault(),
            Event::Mend(mend) => self.mend(mend),
            Event::Later(later) => self.watch_later(later),
            Event::Calm => self.calm(),
            Event::Rest => self.watch_rest(),
        }
        !self.done && self.watch.violation.is_none()
    }

    fn docker_event(&mut self, n: usize, engine: u32, event: DockerEvent) {
        match event {
            DockerEvent::Perform { operation, agent, call, fate } => {
                if self.docker[n].hung {
                    // It is done when the engine goes on.
                    let again = DockerEvent::Perform { operation, agent, call, fate };
                    return self.k.after(500, Event::Docker(n, engine, again));
                }
                let answer = match fate {
                    _ if self.docker[n].down => Some(Answer::Failed("Docker cannot be reached")),
                    CallFate::Well => Some(self.perform(n, call)),
                    CallFate::Fails => Some(Answer::Failed("an error of Docker")),
                    CallFate::FailsAfter => {
                        self.perform(n, call);
                        Some(Answer::Failed("an error of Docker, after it was done"))
                    }
                    CallFate::Silent => {
                        self.perform(n, call);
                        None
                    }
                    CallFate::Swallowed => None,
                };
                if let Some(answer) = answer {
                    self.k.after(0, Event::Node(n, agent, NodeEvent::Answered { operation, answer }));
                }
            }
            DockerEvent::Ends { container, run, code } => {
                let same = self.docker[n].boxes.get(&container).is_some_and(|found| found.run == run && found.runs());
                if same && !(self.k.calm && code == 1) {
                    self.end_container(n, &container, code);
                }
            }
        }
    }

    /// A container ends, asked to or not.
    pub fn end_container(&mut self, n: usize, id: &str, code: i64) {
        self.watch_ends(n, id);
        let now = self.k.now;
        if let Some(of) = self.docker[n].boxes.get(id).and_then(|found| found.of.as_ref()) {
            // Its connections end with it.
            for router in &mut self.routers {
                router.in_flight.remove(&of.instance);
            }
        }
        if let Some(news) = self.docker[n].end(id, code, now) {
            crate::say!(self.k, self.nodes[n], "{id} ends with {code}");
            self.tell_news(n, news);
        }
    }

    pub(super) fn perform(&mut self, n: usize, call: Call) -> Answer {
        let now = self.k.now;
        match call {
            Call::Create { assignment, address } => {
                self.watch_create(n, &assignment);
                let key = (assignment.app.clone(), assignment.release);
                let behaviour = self.behaviours.get(&key).copied().unwrap_or(Behaviour::HealthyAfter(500));
                let behaviour = match behaviour {
                    Behaviour::Missing | Behaviour::Unstartable if self.k.calm => Behaviour::HealthyAfter(500),
                    other => other,
                };
                let name = self.nodes[n].name.clone();
                self.docker[n].create(&name, &assignment, address, behaviour)
            }
            Call::Start(id) => {
                let ran = self.docker[n].boxes.get(&id).is_some_and(|found| found.state == ContainerState::Running);
                let answer = self.docker[n].start(&id, now);
                if !ran && matches!(answer, Answer::Done(_)) {
                    self.started(n, &id);
                }
                answer
            }
            Call::Terminate(id) => self.signal(n, &id, false),
            Call::Kill(id) => self.signal(n, &id, true),
            Call::Remove(_) if self.k.is_planted(Planted::ExitedStay) => Answer::Done(String::new()),
            Call::Remove(id) => {
                self.watch_remove(n, &id);
                let (answer, news) = self.docker[n].remove(&id);
                if let Some(news) = news {
                    self.tell_news(n, news);
                }
                answer
            }
        }
    }

    fn started(&mut self, n: usize, id: &str) {
        self.watch_start(n, id);
        let Some(found) = self.docker[n].boxes.get(id) else { return };
        crate::say!(self.k, self.nodes[n], "{id} runs at {:?}", found.address);
        let ends = match found.behaviour {
            Behaviour::CrashesAfter { end, .. } => Some(end),
            Behaviour::NeverHealthy | Behaviour::HealthyAfter(_) | Behaviour::Stubborn(_) => None,
            Behaviour::Missing | Behaviour::Unstartable => None,
        };
        let (container, run) = (id.to_owned(), found.run);
        if let Some(ends) = ends {
            let event = DockerEvent::Ends { container, run, code: 1 };
            self.k.after(ends, Event::Docker(n, self.engines[n], event));
        }
        self.tell_news(n, News::Started);
    }

    fn signal(&mut self, n: usize, id: &str, kill: bool) -> Answer {
        let answer = self.docker[n].signal(id);
        let Some(found) = self.docker[n].boxes.get(id).filter(|found| found.runs()) else { return answer };
        let (run, stubborn) = (found.run, matches!(found.behaviour, Behaviour::Stubborn(_)));
        crate::say!(self.k, self.nodes[n], "{} is sent {}", found.name, if kill { "SIGKILL" } else { "SIGTERM" });
        self.watch_signal(n, id, kill);
        if kill {
            self.end_container(n, id, 137);
        } else if !stubborn {
            let delay = self.k.between(1, 4_000);
            let event = DockerEvent::Ends { container: id.to_owned(), run, code: 143 };
            self.k.after(delay, Event::Docker(n, self.engines[n], event));
        }
        answer
    }

    /// Whether a short question of a server gets its answer now.
    pub fn store_answers(&mut self, s: usize) -> bool {
        !self.store.down && !self.store.hung && self.k.net.is_open(Place::Server(s), Place::Store)
    }

    pub fn ask_store(&mut self, s: usize, op: StoreOp) -> u64 {
        let call = self.k.fresh();
        let permille = self.k.setting.faults.store_permille;
        let fate = match op {
            _ if !self.k.fault(permille) => CallFate::Well,
            StoreOp::Load | StoreOp::Read => CallFate::Fails,
            _ => [CallFate::Fails, CallFate::FailsAfter, CallFate::Silent, CallFate::Swallowed][self.k.rng.usize(..4)],
        };
        let (life, sent) = (self.servers[s].life, self.k.now);
        let lost = fate == CallFate::Swallowed || self.k.net.is_cut(Place::Server(s), Place::Store);
        let asked = StoreCall { server: s, life, call, sent, op, fate, holds_lock: false };
        if lost {
            self.answer_late(&asked);
        } else {
            let delay = self.k.between(0, self.k.setting.net.delay_most) + self.store.slow;
            self.k.after(delay, Event::Store(asked));
        }
        call
    }

    /// Nobody answers; the caller gives up in the end, or its connection breaks before.
    fn answer_late(&mut self, asked: &StoreCall) {
        let patience = if self.k.chance(500) { self.k.between(5, 2_000) } else { STORE_DEADLINE };
        let at = (asked.sent + patience).max(self.k.now);
        self.answer(asked, at, StoreAnswer::Failed("nobody knows what became of it"));
    }

    fn answer(&mut self, asked: &StoreCall, at: Ms, answer: StoreAnswer) {
        let event = super::event::ServerEvent::Answered { call: asked.call, answer };
        self.k.at(at, Event::Server(asked.server, asked.life, event));
    }

    fn store_call(&mut self, mut asked: StoreCall) {
        let needs_lock = !matches!(asked.op, StoreOp::Read | StoreOp::Load);
        if needs_lock && !asked.holds_lock {
            if self.store.locked_until > self.k.now {
                let until = self.store.locked_until;
                return self.k.at(until, Event::Store(asked));
            }
            if matches!(asked.op, StoreOp::Commit { .. }) && self.k.fault(self.k.setting.faults.store_permille) {
                // The disk takes its time for this commit, and all who need the lease's row wait.
                asked.holds_lock = true;
                let until = self.k.now + self.k.between(50, 14_000);
                self.store.locked_until = until;
                return self.k.at(until, Event::Store(asked));
            }
        }
        if self.store.hung {
            return self.answer_late(&asked);
        }
        let delay = self.k.between(0, self.k.setting.net.delay_most) + self.store.slow;
        let at = self.k.now + delay;
        if self.store.down || asked.fate == CallFate::Fails {
            return self.answer(&asked, at, StoreAnswer::Failed("deadlock, or no connection"));
        }
        let answer = self.transact(&asked);
        let lost = asked.fate != CallFate::Well || self.k.net.is_cut(Place::Store, Place::Server(asked.server));
        if lost || at > asked.sent + STORE_DEADLINE {
            self.answer_late(&asked);
        } else {
            self.answer(&asked, at, answer);
        }
    }

    fn transact(&mut self, asked: &StoreCall) -> StoreAnswer {
        match &asked.op {
            StoreOp::Read => StoreAnswer::Row(self.store.lease.clone()),
            StoreOp::Take { seen, holder, at_least } => StoreAnswer::Taken(self.store.take(seen, holder, *at_least)),
            StoreOp::Renew(fence) => StoreAnswer::Renewed(self.store.touch(fence)),
            StoreOp::Load => StoreAnswer::Loaded(Box::new(self.store.load())),
            StoreOp::Commit { fence, changes, data } => {
                let fenced = !self.k.is_planted(Planted::CommitUnfenced);
                if fenced && (self.store.lease.epoch, &self.store.lease.holder) != (fence.epoch, &fence.holder) {
                    return StoreAnswer::Committed(Err(Fenced));
                }
                self.watch_commit(asked.server, fence, changes, data);
                let made = self.store.commit(fence, changes, fenced);
                if let Ok(made) = &made {
                    self.watch_committed(made);
                }
                StoreAnswer::Committed(made.map(drop))
            }
        }
    }
}

/// The core of an agent waits for its disk; links and Docker do not wait for the core.
fn waits_for_core(event: &NodeEvent) -> bool {
    !matches!(event, NodeEvent::GateWritten { .. } | NodeEvent::Dies)
}
