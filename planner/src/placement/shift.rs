//! Whether one that runs could stand elsewhere instead, and what that does to how its app is spread.

use super::{Ask, Nodes, refusal};

/// What a move from one node to another changes. Lower is better; compared field by field, as a place is preferred:
/// evenly over zones first, then over nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shift {
    /// By how much the sum of squares of the app's instances in each zone grows.
    pub zones: i64,
    /// The same for nodes.
    pub nodes: i64,
}

impl Shift {
    /// The app stands as evenly after it as before.
    pub const EVEN: Self = Self { zones: 0, nodes: 0 };
}

/// From n instances to n - 1 on one side, and from m to m + 1 on the other, two squares grow by this together.
fn growth(from: u32, to: u32) -> i64 {
    2 * (i64::from(to) - i64::from(from) + 1)
}

impl Nodes<'_> {
    /// It takes new instances and is heard steadily: what is rebalanced is moved between such nodes only.
    pub(crate) fn takes_part(&self, node: u32) -> bool {
        let room = &self.rooms[node as usize];
        room.closed.is_none() && room.unsteady.is_none()
    }

    pub(crate) fn count(&self) -> u32 {
        self.rooms.len() as u32
    }

    /// MiB that instances may reserve on a node.
    pub(crate) fn capacity(&self, node: u32) -> u32 {
        self.stock.uses[node as usize].capacity
    }

    /// MiB of one instance.
    pub(crate) fn memory(&self, ask: Ask) -> u32 {
        self.asks[ask.0 as usize].memory
    }

    /// The name of its zone, for people.
    pub(crate) fn zone(&self, node: u32) -> &str {
        refusal::named(self.stock.zone_name(self.stock.uses[node as usize].zone))
    }

    /// Instances of the app on a node, and in its zone.
    pub(crate) fn held(&self, ask: Ask, node: u32) -> (u32, u32) {
        let spread = &self.spreads[self.asks[ask.0 as usize].spread as usize];
        (spread.nodes.on(node), spread.in_zone(self.stock.uses[node as usize].zone))
    }

    /// Takes the room for one more on a node that can take it.
    pub(crate) fn settle(&mut self, ask: Ask, node: u32) {
        self.take(ask, node);
    }

    /// What one instance's move changes; `None` if the other node cannot take one more.
    pub(crate) fn shift(&self, ask: Ask, from: u32, to: u32) -> Option<Shift> {
        if !self.takes_part(to) || !self.takes(&self.asks[ask.0 as usize], to) {
            return None;
        }
        let ((on_from, in_from), (on_to, in_to)) = (self.held(ask, from), self.held(ask, to));
        let same_zone = self.stock.uses[from as usize].zone == self.stock.uses[to as usize].zone;
        let zones = if same_zone { 0 } else { growth(in_from, in_to) };
        Some(Shift { zones, nodes: growth(on_from, on_to) })
    }
}
