//! A server: its lease, its passes, its connections and its feed, around the real machines.
//!
//! What `server/src` does in tasks is done here in steps, and a server can stand still or die between any two of them.

mod feed;
mod lead;
mod links;
mod pass;

use std::collections::BTreeMap;

use dinp_common::fence::Fence;
use dinp_common::instance::InstanceId;
use dinp_common::name::{NodeName, RouterId};
use dinp_common::plan::Desired;
use dinp_common::route::{RouterStatus, TableVersion};
use dinp_planner::lease::Lease;
use dinp_planner::observed::{Observed, RouterSeen};
use dinp_planner::policy::Policy;
use dinp_planner::reports::Reports;
use dinp_planner::steadiness::unsteady;
use dinp_planner::term::{Decided, Term};

use super::event::{Event, ServerEvent};
use super::kernel::{Kernel, Ms};
use super::net::Place;
use super::world::World;

pub struct Server {
    pub index: usize,
    pub life: u32,
    pub up: bool,
    /// It does nothing until then, and does not know it.
    /// It ends at the next moment at which that hurts most.
    pub doomed: bool,
    pub frozen_until: Ms,
    started: Ms,
    /// Milliseconds its clock has stood still in this life.
    pub stood_ms: Ms,
    drift_ppm: i64,
    lease: Lease,
    holder: String,
    /// Nobody else can hold the lease.
    pub sole: bool,
    look: Option<lead::Look>,
    pub term: Option<Term>,
    pass: pass::Pass,
    nudged: bool,
    wake: u64,
    links: BTreeMap<usize, links::Link>,
    reports: BTreeMap<NodeName, (Ms, Reports)>,
    routers: BTreeMap<RouterId, (Ms, RouterStatus)>,
    /// Routers that its last load named.
    recorded: Vec<RouterId>,
    highest_epoch: u64,
    holds: Option<TableVersion>,
    verified: Option<Ms>,
    /// Since when nothing ails it.
    pub well_since: Ms,
}

/// What one pass has read and decided.
pub struct PassData {
    pub fence: Fence,
    pub desired: Desired,
    pub observed: Observed,
    pub decided: Decided,
    pub leading_ms: Ms,
    /// Of the server's own clock.
    pub now_ms: Ms,
}

impl Server {
    pub fn new(index: usize, kernel: &mut Kernel) -> Self {
        let sole = kernel.setting.servers == 1 && kernel.rng.bool();
        Self {
            index,
            life: 0,
            up: false,
            doomed: false,
            frozen_until: 0,
            started: 0,
            stood_ms: 0,
            drift_ppm: i64::from(kernel.rng.u32(0..=2 * kernel.setting.faults.drift_ppm))
                - i64::from(kernel.setting.faults.drift_ppm),
            lease: Lease::default(),
            holder: String::new(),
            sole,
            look: None,
            term: None,
            pass: pass::Pass::Idle,
            nudged: false,
            wake: 0,
            links: BTreeMap::new(),
            reports: BTreeMap::new(),
            routers: BTreeMap::new(),
            recorded: Vec::new(),
            highest_epoch: 0,
            holds: None,
            verified: None,
            well_since: 0,
        }
    }

    /// Milliseconds on its own monotonic clock.
    pub fn clock(&self, now: Ms) -> Ms {
        let ran = now.saturating_sub(self.started).saturating_sub(self.stood_ms);
        (ran as i64 + ran as i64 * self.drift_ppm / 1_000_000) as Ms
    }

    /// The fence it would act with, if it leads.
    pub fn acting(&self, now: Ms) -> Option<&Fence> {
        self.lease.acting(self.clock(now)).filter(|_| self.up)
    }

    fn observed(&self, now: Ms) -> Observed {
        let clock = self.clock(now);
        let nodes =
            self.reports.iter().map(|(node, (heard, reports))| (node.clone(), reports.seen(clock.saturating_sub(*heard))));
        let routers = self.routers.iter().map(|(router, (heard, status))| {
            let silent_ms = clock.saturating_sub(*heard);
            let RouterStatus { confirmed, holder, in_flight, .. } = status.clone();
            (router.clone(), RouterSeen { silent_ms, confirmed, holder, in_flight })
        });
        Observed { nodes: nodes.collect(), routers: routers.collect() }
    }

    /// Whether a node is not one that comes and goes.
    pub fn trusts(&self, node: &NodeName, now: Ms, policy: &Policy) -> bool {
        let clock = self.clock(now);
        let known = self.reports.get(node);
        known.is_some_and(|(heard, reports)| unsteady(&reports.seen(clock.saturating_sub(*heard)), policy).is_none())
    }
}

impl World {
    pub fn start_server(&mut self, s: usize) {
        let fresh = self.k.fresh();
        let server = &mut self.servers[s];
        let (index, life, drift_ppm, sole) = (server.index, server.life + 1, server.drift_ppm, server.sole);
        *server = Server {
            life,
            drift_ppm,
            sole,
            up: true,
            started: self.k.now,
            well_since: self.k.now,
            ..Server::new(index, &mut self.k)
        };
        let server = &mut self.servers[s];
        (server.drift_ppm, server.sole) = (drift_ppm, sole);
        server.holder = format!("s{s}-{fresh}");
        crate::say!(self.k, self.servers[s], "starts as {}", self.servers[s].holder);
        let life = self.servers[s].life;
        for event in [ServerEvent::Look, ServerEvent::ReadKeys, ServerEvent::Wake(0)] {
            self.k.after(1, Event::Server(s, life, event));
        }
    }

    /// It ends between two steps; what it asked for may still happen.
    pub fn kill_server(&mut self, s: usize) {
        if !self.servers[s].up {
            return;
        }
        self.watch_dies(Place::Server(s));
        let server = &mut self.servers[s];
        (server.up, server.term, server.pass) = (false, None, pass::Pass::Idle);
        let links: Vec<(usize, u64)> =
            std::mem::take(&mut server.links).into_iter().map(|(node, link)| (node, link.id)).collect();
        crate::say!(self.k, self.servers[s], "dies");
        for (node, link) in links {
            self.close_link(s, node, link);
        }
    }

    pub fn server_event(&mut self, s: usize, event: ServerEvent) {
        match event {
            ServerEvent::Look => self.look(s),
            ServerEvent::Wake(wake) => {
                if self.servers[s].wake == wake {
                    self.begin_pass(s);
                }
            }
            ServerEvent::Answered { call, answer } => self.answered(s, call, answer),
            ServerEvent::RedisAnswered { call, answer } => self.redis_answered(s, call, answer),
            ServerEvent::RedisLate(call) => self.redis_late(s, call),
            ServerEvent::Hello { node, link, hello } => self.hello(s, node, link, &hello),
            ServerEvent::Report { node, link, report } => self.report(s, node, link, *report),
            ServerEvent::Refused { node, link, epoch } => {
                if self.servers[s].links.get(&node).is_some_and(|known| known.id == link) {
                    self.servers[s].raise_epoch(epoch);
                }
            }
            ServerEvent::Ping { node, link } => self.ping(s, node, link),
            ServerEvent::Unreadable { node, link } => {
                self.link_ails(node);
                self.servers[s].drop_link(node, link);
                self.close_link(s, node, link);
            }
            ServerEvent::Status(status) => {
                let heard = self.servers[s].clock(self.k.now);
                self.router_status(s, status, heard);
            }
            ServerEvent::Goodbye(router) => self.router_goodbye(s, &router),
            ServerEvent::ReadKeys => self.read_keys(s),
        }
    }

    pub fn nudge(&mut self, s: usize) {
        let server = &mut self.servers[s];
        if !server.up {
            return;
        }
        server.nudged = true;
        if matches!(server.pass, pass::Pass::Idle) {
            self.wake_after(s, 0);
        }
    }

    fn wake_after(&mut self, s: usize, delay: Ms) {
        let server = &mut self.servers[s];
        server.wake += 1;
        let (life, wake) = (server.life, server.wake);
        self.k.after(delay, Event::Server(s, life, ServerEvent::Wake(wake)));
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("server{}", self.index))
    }
}

impl PassData {
    /// What this leader last heard of an instance.
    pub fn report(&self, instance: &InstanceId, node: &NodeName) -> Option<&dinp_common::wire::InstanceReport> {
        self.observed.nodes.get(node)?.instances.get(instance)
    }
}
