//! Which nodes an app may stand on, by what it asks of them.

use dinp_common::placement::Placement;

use super::bits::Bits;
use super::room::Room;

/// If fewer than one in so many nodes will do, they are looked at one by one; else the order of free memory leads to
/// one after a few steps.
const FEW: usize = 4;

/// The nodes that meet labels and zones, and are steady enough. Apps that ask for the same share it.
#[derive(Debug, Clone)]
pub(super) struct Filter<'a> {
    asked: &'a Placement,
    /// Nodes that come and go will do.
    pub last_resort: bool,
    outside: Bits,
    inside: Vec<u32>,
    /// So few that looking at each is quickest.
    pub few: bool,
}

impl<'a> Filter<'a> {
    pub fn new(asked: &'a Placement, last_resort: bool, rooms: &[Room<'_>]) -> Self {
        let mut outside = Bits::none(rooms.len());
        let mut inside = Vec::new();
        for (at, room) in (0u32..).zip(rooms) {
            let will_do = Self::meets(asked, room) && (last_resort || room.unsteady.is_none());
            if will_do { inside.push(at) } else { outside.set(at, true) }
        }
        let few = inside.len() * FEW < rooms.len();
        Self { asked, last_resort, outside, inside, few }
    }

    fn meets(asked: &Placement, room: &Room<'_>) -> bool {
        missing_label(asked, room).is_none() && in_zone(asked, room)
    }

    /// Whether it is the filter for this.
    pub fn is_for(&self, asked: &Placement, last_resort: bool) -> bool {
        self.last_resort == last_resort && self.asked.labels == asked.labels && self.asked.zones == asked.zones
    }

    pub fn allows(&self, node: u32) -> bool {
        !self.outside.has(node)
    }

    pub fn inside(&self) -> &[u32] {
        &self.inside
    }
}

/// The first label that the node lacks, or has with another value.
pub(super) fn missing_label<'p>(asked: &'p Placement, room: &Room<'_>) -> Option<(&'p str, &'p str)> {
    let has = |key: &String, value: &String| room.facts.is_some_and(|facts| facts.labels.get(key) == Some(value));
    asked.labels.iter().find(|(key, value)| !has(key, value)).map(|(key, value)| (key.as_str(), value.as_str()))
}

pub(super) fn in_zone(asked: &Placement, room: &Room<'_>) -> bool {
    asked.zones.is_empty() || asked.zones.contains(room.zone())
}
