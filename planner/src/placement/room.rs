//! What one node has to give, and what is taken of it.

use dinp_common::limits;
use dinp_common::name::NodeName;
use dinp_common::node::{Node, NodeFacts};
use dinp_common::size::{Cpu, MiB};

use crate::observed::Freshness;
use crate::standing::NodeRow;
use crate::steadiness::Unsteady;

/// A node, as far as only an explanation or a first look needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room<'a> {
    pub name: &'a NodeName,
    /// Why nothing can be placed here at all, if so.
    pub closed: Option<Closed<'a>>,
    pub facts: Option<&'a NodeFacts>,
    /// In what way it comes and goes, if it does so too much for what others can take.
    pub unsteady: Option<Unsteady>,
}

/// Why a node takes nothing new, whatever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Closed<'a> {
    Draining,
    Cordoned,
    DockerSilent(&'a str),
    NotReported,
    Suspect,
    Lost,
}

/// What every decision looks at, kept small.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    /// MiB; sums stay below 2^32, since a size is at most 2^24 and a node holds at most a thousand.
    pub capacity: u32,
    pub reserved: u32,
    /// Thousandths of a processor.
    pub cpu: u32,
    pub cpu_reserved: u32,
    /// Instances it can hold at once, addresses in quarantine taken off.
    pub slots: u32,
    pub total: u32,
    pub zone: u32,
    pub open: bool,
}

impl<'a> Room<'a> {
    pub fn new(row: &NodeRow<'a>, node: Option<&Node>) -> Self {
        let facts = row.seen.map(|seen| &seen.facts);
        let closed = match (row.freshness, facts.map(|facts| &facts.docker)) {
            _ if node.is_some_and(|node| node.draining) => Some(Closed::Draining),
            _ if node.is_some_and(|node| node.cordoned) => Some(Closed::Cordoned),
            (Freshness::Fresh, Some(Ok(_))) => None,
            (Freshness::Fresh, Some(Err(why))) => Some(Closed::DockerSilent(why)),
            (Freshness::Fresh | Freshness::NotYetSeen, _) => Some(Closed::NotReported),
            (Freshness::Suspect, _) => Some(Closed::Suspect),
            (Freshness::Lost, _) => Some(Closed::Lost),
        };
        Self { name: row.name, closed, facts, unsteady: row.unsteady }
    }

    pub fn zone(&self) -> &'a str {
        self.facts.map_or("", |facts| &facts.zone)
    }

    pub fn addresses(&self) -> u32 {
        self.facts.map_or(0, |facts| facts.capacity.addresses)
    }

    pub fn empty(&self, zone: u32) -> Use {
        let capacity = self.facts.map(|facts| &facts.capacity);
        Use {
            capacity: mib(capacity.map_or(MiB(0), |capacity| capacity.memory)),
            reserved: 0,
            cpu: capacity.map_or(0, |capacity| Cpu::whole(capacity.cpus).0),
            cpu_reserved: 0,
            slots: self.addresses().min(limits::INSTANCES_PER_NODE),
            total: 0,
            zone,
            open: self.closed.is_none(),
        }
    }
}

pub(super) fn mib(size: MiB) -> u32 {
    u32::try_from(size.0).unwrap_or(u32::MAX)
}

impl Use {
    pub fn free(&self) -> u32 {
        self.capacity.saturating_sub(self.reserved)
    }

    pub fn cpu_free(&self) -> u32 {
        self.cpu.saturating_sub(self.cpu_reserved)
    }

    /// It takes new instances, if they are small enough.
    pub fn takes_more(&self) -> bool {
        self.open && self.total < self.slots
    }

    /// It takes new instances, and were it empty, one so large.
    pub fn could_ever(&self, memory: u32, cpu: u32) -> bool {
        self.open && self.slots > 0 && self.capacity >= memory && self.cpu >= cpu
    }

    pub fn fits(&self, memory: u32, cpu: u32) -> bool {
        self.takes_more() && self.free() >= memory && self.cpu_free() >= cpu
    }

    pub fn take(&mut self, memory: u32, cpu: u32) {
        self.reserved = self.reserved.saturating_add(memory);
        self.cpu_reserved = self.cpu_reserved.saturating_add(cpu);
        self.total += 1;
    }

    pub fn give_back(&mut self, memory: u32, cpu: u32) {
        self.reserved -= memory;
        self.cpu_reserved -= cpu;
        self.total -= 1;
    }

    /// Millionths of its memory that are taken.
    pub fn fill(&self) -> u64 {
        u64::from(self.reserved) * 1_000_000 / u64::from(self.capacity.max(1))
    }
}
