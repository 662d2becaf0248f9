//! All nodes' room, kept in the order in which it is asked for.

use std::collections::BTreeSet;

use super::filter::Filter;
use super::room::{Room, Use};

/// The nodes of one zone that take more, those with most free memory first, then by name.
type Order = BTreeSet<u64>;

fn key(free: u32, node: u32) -> u64 {
    u64::from(u32::MAX - free) << 32 | u64::from(node)
}

/// Demands of one size that may go to the same nodes, and how many nodes could take one more of them now.
#[derive(Debug, Clone)]
struct Size {
    memory: u32,
    cpu: u32,
    filter: u32,
    fits: u32,
}

#[derive(Debug, Clone)]
pub(super) struct Stock<'a> {
    pub uses: Vec<Use>,
    zones: Vec<(&'a str, Order)>,
    sizes: Vec<Size>,
    /// Sizes by memory, so that one taken instance looks only at those whose bound it crosses.
    by_memory: Vec<(u32, u32)>,
}

impl<'a> Stock<'a> {
    pub fn new(rooms: &[Room<'a>]) -> Self {
        let names: BTreeSet<&'a str> = rooms.iter().map(Room::zone).collect();
        let names: Vec<&'a str> = names.into_iter().collect();
        let uses = rooms.iter().map(|room| room.empty(names.binary_search(&room.zone()).map_or(0, |at| at as u32))).collect();
        let zones = names.into_iter().map(|name| (name, Order::new())).collect();
        Self { uses, zones, sizes: Vec::new(), by_memory: Vec::new() }
    }

    pub fn zones(&self) -> usize {
        self.zones.len()
    }

    pub fn zone_name(&self, zone: u32) -> &'a str {
        self.zones[zone as usize].0
    }

    /// Puts the nodes into their order, once what stands on them is taken off.
    pub fn sort(&mut self) {
        for (at, used) in (0u32..).zip(&self.uses) {
            if used.takes_more() {
                self.zones[used.zone as usize].1.insert(key(used.free(), at));
            }
        }
    }

    /// The zone's nodes with so much memory, those with most free first.
    pub fn fitting(&self, zone: u32, memory: u32) -> impl Iterator<Item = u32> {
        let enough = move |entry: &&u64| u32::MAX - (**entry >> 32) as u32 >= memory;
        self.zones[zone as usize].1.iter().take_while(enough).map(|entry| *entry as u32)
    }

    /// The number of a size; asking for it again answers the same.
    pub fn size(&mut self, memory: u32, cpu: u32, filter: u32, nodes: &Filter<'_>) -> u32 {
        let same = |size: &Size| (size.memory, size.cpu, size.filter) == (memory, cpu, filter);
        let from = self.by_memory.partition_point(|(other, _)| *other < memory);
        let mut alike = self.by_memory[from..].iter().take_while(|(other, _)| *other == memory);
        if let Some((_, at)) = alike.find(|(_, at)| same(&self.sizes[*at as usize])) {
            return *at;
        }
        let fits = nodes.inside().iter().filter(|node| self.uses[**node as usize].fits(memory, cpu)).count() as u32;
        let at = self.sizes.len() as u32;
        self.sizes.push(Size { memory, cpu, filter, fits });
        self.by_memory.insert(from, (memory, at));
        at
    }

    /// How many nodes could take one more of this size.
    pub fn fits(&self, size: u32) -> u32 {
        self.sizes[size as usize].fits
    }

    pub fn take(&mut self, node: u32, memory: u32, cpu: u32, filters: &[Filter<'_>]) {
        self.change(node, filters, |used| used.take(memory, cpu));
    }

    pub fn give_back(&mut self, node: u32, memory: u32, cpu: u32, filters: &[Filter<'_>]) {
        self.change(node, filters, |used| used.give_back(memory, cpu));
    }

    fn change(&mut self, node: u32, filters: &[Filter<'_>], change: impl FnOnce(&mut Use)) {
        let before = self.uses[node as usize];
        change(&mut self.uses[node as usize]);
        let after = self.uses[node as usize];
        let order = &mut self.zones[before.zone as usize].1;
        if before.takes_more() {
            order.remove(&key(before.free(), node));
        }
        if after.takes_more() {
            order.insert(key(after.free(), node));
        }
        // A size whose bound lies outside what changed fits as before.
        let only_memory = before.cpu_reserved == after.cpu_reserved && before.takes_more() && after.takes_more();
        let low = if only_memory { before.free().min(after.free()) } else { 0 };
        let high = before.free().max(after.free());
        let from = self.by_memory.partition_point(|(memory, _)| *memory <= low && only_memory);
        for (_, at) in self.by_memory[from..].iter().take_while(|(memory, _)| *memory <= high) {
            let size = &mut self.sizes[*at as usize];
            let (had, has) = (before.fits(size.memory, size.cpu), after.fits(size.memory, size.cpu));
            if had != has && filters[size.filter as usize].allows(node) {
                size.fits = size.fits + u32::from(has) - u32::from(had);
            }
        }
    }
}
