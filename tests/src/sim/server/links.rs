//! Agents' connections, as `server/src/agents.rs` and `cluster/nodes.rs` keep them.

use dinp_common::wire::{Hello, Report};
use dinp_planner::reports::{Reports, TakenIn};

use crate::sim::event::{Event, NodeEvent};
use crate::sim::kernel::Ms;
use crate::sim::net::Place;
use crate::sim::world::World;

/// One agent's connection.
pub(super) struct Link {
    pub id: u64,
    pub heard: Ms,
    /// It has been sent its level.
    pub assigned: bool,
}

impl World {
    pub(super) fn hello(&mut self, s: usize, node: usize, link: u64, hello: &Hello) {
        if self.servers[s].links.get(&node).is_some_and(|known| known.id >= link) {
            return; // An old greeting that came late, or the same twice.
        }
        // Whose token it is, only the store knows.
        if !self.store_answers(s) {
            return self.close_link(s, node, link);
        }
        self.store.record_node(&hello.node);
        let clock = self.servers[s].clock(self.k.now);
        let server = &mut self.servers[s];
        server.links.insert(node, Link { id: link, heard: clock, assigned: false });
        let before = server.reports.remove(&hello.node);
        let (before, heard) = before.map_or((None, clock), |(heard, reports)| (Some(reports), heard));
        let (reports, anew) = Reports::greeted(before, hello, clock.saturating_sub(heard));
        server.reports.insert(hello.node.clone(), (if anew { clock } else { heard }, reports));
        self.tell_node(s, node, NodeEvent::Welcome { server: s, link });
        self.nudge(s);
    }

    pub(super) fn report(&mut self, s: usize, node: usize, link: u64, report: Report) {
        if !self.hear(s, node, link) {
            return;
        }
        let clock = self.servers[s].clock(self.k.now);
        let name = self.nodes[node].name.clone();
        let Some((heard, reports)) = self.servers[s].reports.get_mut(&name) else { return };
        let taken = reports.take_in(report, clock.saturating_sub(*heard));
        if taken != TakenIn::Stale {
            *heard = clock;
        }
        if taken == TakenIn::News {
            self.nudge(s);
        }
    }

    pub(super) fn ping(&mut self, s: usize, node: usize, link: u64) {
        if self.hear(s, node, link) {
            self.tell_node(s, node, NodeEvent::Pong { server: s, link });
        }
    }

    /// A sign of life over a connection; false if it is not the present one. Who writes to one that is closed is told so.
    fn hear(&mut self, s: usize, node: usize, link: u64) -> bool {
        let clock = self.servers[s].clock(self.k.now);
        let Some(known) = self.servers[s].links.get_mut(&node).filter(|known| known.id == link) else {
            self.close_link(s, node, link);
            return false;
        };
        known.heard = clock;
        true
    }

    /// The agent learns that its connection is gone, if the network lets it.
    pub(super) fn close_link(&mut self, s: usize, node: usize, link: u64) {
        self.tell_node(s, node, NodeEvent::Closed { server: s, link });
    }

    fn tell_node(&mut self, s: usize, node: usize, event: NodeEvent) {
        let life = self.nodes[node].life;
        let greets = matches!(event, NodeEvent::Welcome { .. });
        let sent = self.k.send(Place::Server(s), Place::Node(node), Event::Node(node, life, event));
        if greets && !sent {
            self.link_ails(node);
        }
    }
}

impl super::Server {
    /// Its end of a connection is closed.
    pub fn drop_link(&mut self, node: usize, link: u64) {
        if self.links.get(&node).is_some_and(|known| known.id == link) {
            self.links.remove(&node);
        }
    }
}
