//! Where an app stands already.

use super::bits::Bits;

/// Instances on each node. Most nodes hold none and most others one: a bit says so, and a million places touch no list.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    some: Bits,
    /// Nodes that hold more than one, by node, with how many.
    more: Vec<(u32, u32)>,
}

impl Counts {
    pub fn none(nodes: usize) -> Self {
        Self { some: Bits::none(nodes), more: Vec::new() }
    }

    pub fn has(&self, node: u32) -> bool {
        self.some.has(node)
    }

    pub fn on(&self, node: u32) -> u32 {
        if !self.has(node) {
            return 0;
        }
        self.more.binary_search_by_key(&node, |(node, _)| *node).map_or(1, |at| self.more[at].1)
    }

    /// The nodes that hold some.
    pub fn nodes(&self) -> impl Iterator<Item = u32> {
        self.some.iter()
    }

    pub fn add(&mut self, node: u32) {
        if !self.has(node) {
            self.some.set(node, true);
            return;
        }
        match self.more.binary_search_by_key(&node, |(node, _)| *node) {
            Ok(at) => self.more[at].1 += 1,
            Err(at) => self.more.insert(at, (node, 2)),
        }
    }

    pub fn remove(&mut self, node: u32) {
        match self.more.binary_search_by_key(&node, |(node, _)| *node) {
            Ok(at) if self.more[at].1 > 2 => self.more[at].1 -= 1,
            Ok(at) => drop(self.more.remove(at)),
            Err(_) => self.some.set(node, false),
        }
    }
}

/// An app's instances per node and zone.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    pub nodes: Counts,
    zones: Vec<u32>,
}

impl Spread {
    pub fn new(nodes: usize, zones: usize) -> Self {
        Self { nodes: Counts::none(nodes), zones: vec![0; zones] }
    }

    pub fn in_zone(&self, zone: u32) -> u32 {
        self.zones[zone as usize]
    }

    pub fn add(&mut self, node: u32, zone: u32) {
        self.zones[zone as usize] += 1;
        self.nodes.add(node);
    }

    pub fn remove(&mut self, node: u32, zone: u32) {
        self.zones[zone as usize] -= 1;
        self.nodes.remove(node);
    }
}

/// At most so many of one release on a node.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub most: u32,
    counts: Counts,
    /// Nodes that hold as many as they may, or more.
    pub full: u32,
}

impl Limit {
    pub fn new(most: u32, nodes: usize) -> Self {
        Self { most, counts: Counts::none(nodes), full: 0 }
    }

    pub fn is_full(&self, node: u32) -> bool {
        self.counts.has(node) && self.on(node) >= self.most
    }

    pub fn on(&self, node: u32) -> u32 {
        self.counts.on(node)
    }

    pub fn add(&mut self, node: u32) {
        self.counts.add(node);
        self.full += u32::from(self.on(node) == self.most);
    }

    pub fn remove(&mut self, node: u32) {
        self.full -= u32::from(self.on(node) == self.most);
        self.counts.remove(node);
    }
}
