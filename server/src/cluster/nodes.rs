//! Connected agents: their last reports, and the way to send them something.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dinp_common::digest::Image;
use dinp_common::name::NodeName;
use dinp_common::wire::{Assignments, Hello, LogLine, Report, ServerMessage};
use dinp_planner::observed::NodeSeen;
use dinp_planner::reports::{Reports, TakenIn};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::DropGuard;

use super::Cluster;

/// Questions that may wait for one connection; an agent that does not read them gets no more.
const OUTBOX_MESSAGES: usize = 64;

#[derive(Default)]
pub(super) struct Nodes(Mutex<BTreeMap<NodeName, Node>>);

/// What this server has of one node.
struct Node {
    /// Distinguishes this connection from an older one of the same node.
    link: u64,
    outbox: Outbox,
    asks: HashMap<u64, Ask>,
    next_ask: u64,
    heard: Instant,
    reports: Reports,
}

/// Where the answer to a question goes.
pub(super) enum Ask {
    /// Dropping the guard ends the answer; how the node said that it ends goes into the other one.
    Lines(mpsc::Sender<LogLine>, oneshot::Sender<Result<(), String>>, DropGuard),
    Image(oneshot::Sender<Result<Image, String>>),
}

/// What is to be sent over one agent's connection. Assignments are a level: only the newest is ever sent.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) assignments: watch::Sender<Option<Assignments>>,
    pub(crate) messages: mpsc::Sender<ServerMessage>,
}

/// One agent's connection, as its task holds it; dropping it ends the questions asked over it.
pub struct AgentLink {
    cluster: Cluster,
    node: NodeName,
    link: u64,
    pub assignments: watch::Receiver<Option<Assignments>>,
    pub messages: mpsc::Receiver<ServerMessage>,
}

fn elapsed_ms(since: Instant, now: Instant) -> u64 {
    now.saturating_duration_since(since).as_millis() as u64
}

impl Nodes {
    fn map(&self) -> MutexGuard<'_, BTreeMap<NodeName, Node>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self, now: Instant) -> BTreeMap<NodeName, NodeSeen> {
        let view = |node: &Node| node.reports.seen(elapsed_ms(node.heard, now));
        self.map().iter().map(|(name, node)| (name.clone(), view(node))).collect()
    }

    /// Registers a question; the id to send it under.
    pub(super) fn ask(&self, node: &NodeName, most: usize, ask: Ask) -> Option<(u64, Outbox)> {
        let mut map = self.map();
        let node = map.get_mut(node).filter(|node| !node.outbox.messages.is_closed() && node.asks.len() < most)?;
        node.next_ask += 1;
        node.asks.insert(node.next_ask, ask);
        Some((node.next_ask, node.outbox.clone()))
    }

    /// Ends a question: its answer is complete, or nobody reads it any more.
    pub(super) fn close(&self, node: &NodeName, ask: u64) -> Option<Ask> {
        self.map().get_mut(node)?.asks.remove(&ask)
    }

    #[cfg(test)]
    pub(super) fn open(&self, node: &NodeName) -> usize {
        self.map().get(node).map_or(0, |node| node.asks.len())
    }

    fn reader(&self, node: &NodeName, ask: u64) -> Option<mpsc::Sender<LogLine>> {
        match self.map().get(node)?.asks.get(&ask)? {
            Ask::Lines(lines, _, _) => Some(lines.clone()),
            Ask::Image(_) => None,
        }
    }
}

impl Cluster {
    /// Whether this server has heard the node since it started.
    pub fn knows(&self, node: &NodeName) -> bool {
        self.0.nodes.map().contains_key(node)
    }

    /// A new connection of an agent. It takes the place of an older one of the same node, which then ends.
    pub fn agent_joined(&self, hello: &Hello, now: Instant) -> AgentLink {
        let node = &hello.node;
        let (assignments, assignments_rx) = watch::channel(None);
        let (messages, messages_rx) = mpsc::channel(OUTBOX_MESSAGES);
        let outbox = Outbox { assignments, messages };
        let mut map = self.0.nodes.map();
        let old = map.remove(node);
        let link = old.as_ref().map_or(0, |old| old.link) + 1;
        let (before, heard) = old.map_or((None, now), |old| (Some(old.reports), old.heard));
        let (reports, anew) = Reports::greeted(before, hello, elapsed_ms(heard, now));
        let heard = if anew { now } else { heard };
        map.insert(node.clone(), Node { link, outbox, asks: HashMap::new(), next_ask: 0, heard, reports });
        drop(map);
        AgentLink { cluster: self.clone(), node: node.clone(), link, assignments: assignments_rx, messages: messages_rx }
    }

    /// Where to send something for each connected node.
    pub(crate) fn outboxes(&self) -> Vec<(NodeName, Outbox)> {
        let connected = |node: &&Node| !node.outbox.messages.is_closed();
        self.0
            .nodes
            .map()
            .iter()
            .filter(|(_, node)| connected(node))
            .map(|(name, node)| (name.clone(), node.outbox.clone()))
            .collect()
    }
}

impl AgentLink {
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// Takes in a report. One that is older than what is known, or a delta before any full one, changes nothing.
    pub fn report(&self, report: Report, now: Instant) {
        let mut map = self.cluster.0.nodes.map();
        let Some(node) = map.get_mut(&self.node).filter(|node| node.link == self.link) else { return };
        let taken = node.reports.take_in(report, elapsed_ms(node.heard, now));
        if taken != TakenIn::Stale {
            node.heard = now;
        }
        drop(map);
        if taken == TakenIn::News {
            self.cluster.nudge();
        }
    }

    pub fn lines(&self, ask: u64, lines: Vec<LogLine>) {
        let Some(reader) = self.cluster.0.nodes.reader(&self.node, ask) else { return };
        for line in lines {
            // A reader that does not keep up loses lines rather than holding up this agent's reports.
            if let Err(mpsc::error::TrySendError::Closed(_)) = reader.try_send(line) {
                return;
            }
        }
    }

    pub fn done(&self, ask: u64, error: Option<String>) {
        if let Some(Ask::Lines(_, end, _ended)) = self.cluster.0.nodes.close(&self.node, ask) {
            // A reader that is gone needs no end.
            let _ = end.send(error.map_or(Ok(()), Err));
        }
    }

    pub fn image(&self, ask: u64, image: Result<Image, String>) {
        if let Some(Ask::Image(reply)) = self.cluster.0.nodes.close(&self.node, ask) {
            let _ = reply.send(image);
        }
    }
}

impl Drop for AgentLink {
    /// Answers that were under way over this connection will never come.
    fn drop(&mut self) {
        if let Some(node) = self.cluster.0.nodes.map().get_mut(&self.node).filter(|node| node.link == self.link) {
            node.asks.clear();
        }
    }
}
