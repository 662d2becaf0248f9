//! The connection to one server, as `agent/src/link` keeps it.

use dinp_common::wire::{Hello, PROTOCOL, Report};
use dinp_planner::agent::Gate;
use dinp_planner::agent::told::{Told, heartbeat};

use crate::sim::event::{Event, NodeEvent, ServerEvent};
use crate::sim::kernel::Ms;
use crate::sim::names;
use crate::sim::net::Place;
use crate::sim::world::World;

const PAUSE_FIRST: Ms = 50;
const PAUSE_MAX: Ms = 5_000;
const GOOD_AFTER: Ms = 10_000;
const OPEN_WITHIN: Ms = 5_000;
const HEARTBEAT: Ms = 1_000;
const PING_EVERY: Ms = 5_000;
const SILENT_MAX: Ms = 15_000;

#[derive(Default)]
pub(super) struct Link {
    pub(super) attempt: u64,
    asking: Option<u64>,
    pub(super) open: Option<Session>,
    pause: Ms,
    seq: u64,
}

/// A connection over which a server has welcomed the agent.
pub(super) struct Session {
    pub(super) id: u64,
    told: Told,
    heard: Ms,
    began: Ms,
    beats: u64,
}

impl World {
    pub(super) fn connect(&mut self, n: usize, server: usize, attempt: u64) {
        if self.nodes[n].links[server].attempt != attempt {
            return;
        }
        let link = self.k.fresh();
        let agent = &mut self.nodes[n];
        agent.links[server].asking = Some(link);
        let mut facts = agent.facts.clone();
        facts.capacity.addresses = agent.observed.addresses;
        let hello = Hello {
            protocol: PROTOCOL,
            node: agent.name.clone(),
            cluster: agent.gate.as_ref().map(|gate| gate.cluster().clone()),
            boot: agent.boot.clone(),
            facts,
            highest: agent.highest().cloned(),
        };
        let life = agent.life;
        self.tell_server(n, server, ServerEvent::Hello { node: n, link, hello: Box::new(hello) });
        // A process that is not there refuses at once; anything else takes its time.
        let patience = if self.servers[server].up { OPEN_WITHIN } else { 5 };
        self.k.after(patience, Event::Node(n, life, NodeEvent::Unwelcome { server, link }));
    }

    pub(super) fn unwelcome(&mut self, n: usize, server: usize, link: u64) {
        if self.nodes[n].links[server].asking == Some(link) {
            self.nodes[n].links[server].asking = None;
            self.connect_again(n, server);
        }
    }

    fn connect_again(&mut self, n: usize, server: usize) {
        let link = &mut self.nodes[n].links[server];
        link.attempt += 1;
        let pause = link.pause.max(PAUSE_FIRST);
        link.pause = (pause * 2).min(PAUSE_MAX);
        let (attempt, life) = (link.attempt, self.nodes[n].life);
        let delay = self.k.between(pause / 2, pause);
        self.k.after(delay, Event::Node(n, life, NodeEvent::Connect { server, attempt }));
    }

    pub(super) fn welcome(&mut self, n: usize, server: usize, link: u64) {
        if self.nodes[n].links[server].asking != Some(link) {
            return;
        }
        if self.nodes[n].gate.is_none() {
            if self.disks[n].full {
                return;
            }
            let gate = Gate::joined(names::cluster());
            self.disks[n].gate = Some(gate.clone());
            self.nodes[n].gate = Some(gate);
            self.joined(n);
        }
        let now = self.k.now;
        let known = &mut self.nodes[n].links[server];
        known.asking = None;
        known.open = Some(Session { id: link, told: Told::default(), heard: now, began: now, beats: 0 });
        self.tell_full(n, server);
        let life = self.nodes[n].life;
        self.k.after(HEARTBEAT, Event::Node(n, life, NodeEvent::Beat { server, link }));
        self.k.after(PING_EVERY, Event::Node(n, life, NodeEvent::PingDue { server, link }));
    }

    pub(super) fn session_ends(&mut self, n: usize, server: usize, link: u64) {
        let now = self.k.now;
        let known = &mut self.nodes[n].links[server];
        if known.asking == Some(link) {
            return self.unwelcome(n, server, link);
        }
        let Some(session) = known.open.take_if(|session| session.id == link) else { return };
        if now - session.began >= GOOD_AFTER {
            known.pause = PAUSE_FIRST;
        }
        self.connect_again(n, server);
    }

    pub(super) fn is_open(&self, n: usize, server: usize, link: u64) -> bool {
        self.nodes[n].links[server].open.as_ref().is_some_and(|session| session.id == link)
    }

    pub(super) fn hear_server(&mut self, n: usize, server: usize, link: u64) {
        let now = self.k.now;
        if let Some(session) = self.nodes[n].links[server].open.as_mut().filter(|session| session.id == link) {
            session.heard = now;
        }
    }

    pub(super) fn beat(&mut self, n: usize, server: usize, link: u64) {
        if !self.is_open(n, server, link) {
            return;
        }
        self.look_at_docker(n);
        let Some(session) = self.nodes[n].links[server].open.as_mut() else { return };
        session.beats += 1;
        let full = session.beats.is_multiple_of(2);
        if full {
            self.tell_full(n, server);
        } else {
            let agent = &mut self.nodes[n];
            let observed = agent.observed.clone();
            let link = &mut agent.links[server];
            if let Some(session) = &mut link.open {
                let change = session.told.change(&agent.boot, &mut link.seq, &observed, &agent.facts);
                let report = change.unwrap_or_else(|| heartbeat(&agent.boot, &mut link.seq, &observed, &agent.facts));
                self.send_report(n, server, report);
            }
        }
        let life = self.nodes[n].life;
        self.k.after(HEARTBEAT, Event::Node(n, life, NodeEvent::Beat { server, link }));
    }

    pub(super) fn ping_due(&mut self, n: usize, server: usize, link: u64) {
        let now = self.k.now;
        let Some(session) = self.nodes[n].links[server].open.as_ref().filter(|session| session.id == link) else { return };
        if now - session.heard >= SILENT_MAX {
            return self.session_ends(n, server, link);
        }
        self.tell_server(n, server, ServerEvent::Ping { node: n, link });
        let life = self.nodes[n].life;
        self.k.after(PING_EVERY, Event::Node(n, life, NodeEvent::PingDue { server, link }));
    }

    fn tell_full(&mut self, n: usize, server: usize) {
        let agent = &mut self.nodes[n];
        let observed = agent.observed.clone();
        let link = &mut agent.links[server];
        if let Some(session) = &mut link.open {
            let report = session.told.full(&agent.boot, &mut link.seq, &observed, &agent.facts);
            self.send_report(n, server, report);
        }
    }

    pub(super) fn tell_change(&mut self, n: usize, server: usize) {
        let agent = &mut self.nodes[n];
        let observed = agent.observed.clone();
        let link = &mut agent.links[server];
        if let Some(session) = &mut link.open
            && let Some(report) = session.told.change(&agent.boot, &mut link.seq, &observed, &agent.facts)
        {
            self.send_report(n, server, report);
        }
    }

    fn send_report(&mut self, n: usize, server: usize, report: Report) {
        let Some(link) = self.nodes[n].links[server].open.as_ref().map(|session| session.id) else { return };
        self.tell_server(n, server, ServerEvent::Report { node: n, link, report: Box::new(report) });
    }

    pub(super) fn tell_server(&mut self, n: usize, server: usize, event: ServerEvent) {
        let life = self.servers[server].life;
        let greets = matches!(event, ServerEvent::Hello { .. });
        let sent = self.k.send(Place::Node(n), Place::Server(server), Event::Server(server, life, event));
        if greets && !sent {
            self.link_ails(n);
        }
    }

    /// A greeting is lost, or a message arrives in part: it takes its time until it is heard again.
    pub(in crate::sim) fn link_ails(&mut self, n: usize) {
        self.nodes[n].well_since = self.k.now;
    }
}
