//! Where an app stands already.

use super::bits::Bits;

/// An app's instances per node and zone.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    /// Nodes that hold at least one: most hold none, and one bit says so.
    taken: Bits,
    /// Those nodes with how many they hold, in no order.
    held: Vec<(u32, u32)>,
    zones: Vec<u32>,
}

impl Spread {
    pub fn new(nodes: usize, zones: usize) -> Self {
        Self { taken: Bits::none(nodes), held: Vec::new(), zones: vec![0; zones] }
    }

    pub fn is_on(&self, node: u32) -> bool {
        self.taken.has(node)
    }

    pub fn on(&self, node: u32) -> u32 {
        if !self.is_on(node) {
            return 0;
        }
        self.held.iter().find(|(held, _)| *held == node).map_or(0, |(_, count)| *count)
    }

    pub fn in_zone(&self, zone: u32) -> u32 {
        self.zones[zone as usize]
    }

    /// The nodes that hold some, with how many.
    pub fn held(&self) -> &[(u32, u32)] {
        &self.held
    }

    pub fn add(&mut self, node: u32, zone: u32) {
        self.zones[zone as usize] += 1;
        if self.is_on(node) {
            self.held.iter_mut().filter(|(held, _)| *held == node).for_each(|(_, count)| *count += 1);
        } else {
            self.taken.set(node, true);
            self.held.push((node, 1));
        }
    }

    pub fn remove(&mut self, node: u32, zone: u32) {
        self.zones[zone as usize] -= 1;
        if let Some(at) = self.held.iter().position(|(held, _)| *held == node) {
            self.held[at].1 -= 1;
            if self.held[at].1 == 0 {
                self.held.swap_remove(at);
                self.taken.set(node, false);
            }
        }
    }
}

/// At most so many of one release on a node.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    pub most: u32,
    counts: Spread,
    /// Nodes that hold as many as they may.
    full: Bits,
    pub full_count: u32,
}

impl Limit {
    pub fn new(most: u32, nodes: usize) -> Self {
        Self { most, counts: Spread::new(nodes, 1), full: Bits::none(nodes), full_count: 0 }
    }

    pub fn is_full(&self, node: u32) -> bool {
        self.full.has(node)
    }

    pub fn on(&self, node: u32) -> u32 {
        self.counts.on(node)
    }

    pub fn add(&mut self, node: u32) {
        self.counts.add(node, 0);
        self.note(node);
    }

    pub fn remove(&mut self, node: u32) {
        self.counts.remove(node, 0);
        self.note(node);
    }

    fn note(&mut self, node: u32) {
        let (was, is) = (self.full.has(node), self.counts.on(node) >= self.most);
        self.full.set(node, is);
        self.full_count = self.full_count + u32::from(is) - u32::from(was);
    }
}
