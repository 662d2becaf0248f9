//! Which node takes a new instance: hard filters that explain themselves, then an order of preference.

use std::collections::BTreeMap;

use dinp_common::instance::Seen;
use dinp_common::limits;
use dinp_common::name::{AppName, NodeName};
use dinp_common::plan::Desired;
use dinp_common::size::MiB;

use crate::observed::{Freshness, Observed};
use crate::policy::Policy;

/// What is taken on each node, as the pass goes on placing.
#[derive(Debug, Clone)]
pub struct Nodes {
    rooms: BTreeMap<NodeName, Room>,
}

#[derive(Debug, Clone)]
struct Room {
    /// Why nothing can be placed here, if so; a clause.
    closed: Option<String>,
    capacity: MiB,
    reserved: MiB,
    /// Instances it can hold at once, addresses in quarantine taken off.
    addresses: u32,
    /// Instances per app.
    apps: BTreeMap<AppName, u32>,
    total: u32,
}

/// Lower is better; compared field by field.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Preference {
    /// Instances of the same app: spread first.
    of_app: u32,
    total: u32,
    /// Negative, so that the node with most free memory comes first.
    free: std::cmp::Reverse<MiB>,
    node: NodeName,
}

/// Where, and why there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    pub node: NodeName,
    pub reason: String,
}

impl Nodes {
    pub fn new(desired: &Desired, observed: &Observed, leading_ms: u64, policy: &Policy) -> Self {
        let mut rooms: BTreeMap<NodeName, Room> = BTreeMap::new();
        for node in &desired.nodes {
            let freshness = observed.freshness(&node.name, leading_ms, policy);
            let seen = observed.nodes.get(&node.name);
            let closed = match (freshness, seen.map(|seen| &seen.facts.docker)) {
                _ if node.cordoned => Some("it is cordoned".to_owned()),
                (Freshness::Fresh, Some(Ok(_))) => None,
                (Freshness::Fresh, Some(Err(why))) => Some(format!("its Docker does not answer: {why}")),
                (Freshness::Fresh | Freshness::NotYetSeen, _) => Some("it has not reported yet".to_owned()),
                (Freshness::Suspect, _) => Some("it has not been heard for a few seconds".to_owned()),
                (Freshness::Lost, _) => Some("it is lost".to_owned()),
            };
            let capacity = seen.map(|seen| &seen.facts.capacity);
            rooms.insert(
                node.name.clone(),
                Room {
                    closed,
                    capacity: capacity.map_or(MiB(0), |capacity| capacity.memory),
                    reserved: MiB(0),
                    addresses: capacity.map_or(0, |capacity| capacity.addresses),
                    apps: BTreeMap::new(),
                    total: 0,
                },
            );
        }
        let mut nodes = Self { rooms };
        for instance in &desired.instances {
            let report = observed.nodes.get(&instance.node).and_then(|node| node.instances.get(&instance.id));
            // Memory is reserved until the container is gone, drain included.
            if report.is_none_or(|report| report.seen != Seen::Gone) {
                let memory = desired.spec(&instance.app, instance.release).map_or(MiB(0), |spec| spec.memory);
                nodes.take(&instance.node, &instance.app, memory);
            }
        }
        nodes
    }

    fn take(&mut self, node: &NodeName, app: &AppName, memory: MiB) {
        if let Some(room) = self.rooms.get_mut(node) {
            room.reserved.0 += memory.0;
            room.total += 1;
            *room.apps.entry(app.clone()).or_default() += 1;
        }
    }

    /// Chooses a node for one more instance and takes the room, or says for every node why not.
    pub fn place(&mut self, app: &AppName, memory: MiB) -> Result<Placed, String> {
        if self.rooms.is_empty() {
            return Err("no node has joined yet".to_owned());
        }
        let refusals: Vec<(&NodeName, String)> =
            self.rooms.iter().filter_map(|(name, room)| room.refuses(memory).map(|why| (name, why))).collect();
        let best = self
            .rooms
            .iter()
            .filter(|(_, room)| room.refuses(memory).is_none())
            .map(|(name, room)| Preference {
                of_app: room.apps.get(app).copied().unwrap_or(0),
                total: room.total,
                free: std::cmp::Reverse(MiB(room.capacity.0.saturating_sub(room.reserved.0))),
                node: name.clone(),
            })
            .min();
        let Some(best) = best else {
            return Err(refusals.iter().map(|(name, why)| format!("{name}: {why}")).collect::<Vec<_>>().join("; "));
        };
        let count = self.rooms.len();
        let reason = match (count, refusals.len()) {
            (1, _) => "the only node".to_owned(),
            (_, 0) => format!("least loaded of {count}"),
            (_, out) => format!("least loaded of {count}, {out} filtered"),
        };
        self.take(&best.node, app, memory);
        Ok(Placed { node: best.node, reason })
    }
}

impl Room {
    /// Why this node cannot take an instance of this size; a clause a user reads.
    fn refuses(&self, memory: MiB) -> Option<String> {
        if let Some(why) = &self.closed {
            return Some(why.clone());
        }
        let free = MiB(self.capacity.0.saturating_sub(self.reserved.0));
        if free < memory {
            return Some(format!("needs {memory} and has {free} free of {}", self.capacity));
        }
        if self.total >= limits::INSTANCES_PER_NODE {
            return Some(format!("it holds {} instances, the most a node can", self.total));
        }
        (self.total >= self.addresses)
            .then(|| format!("it has no free address: {} can be used now, and all are taken", self.addresses))
    }
}
