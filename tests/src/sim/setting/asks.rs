//! What apps ask of the nodes they stand on, never more than all nodes together can give.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::node::NodeFacts;
use dinp_common::placement::Placement;
use dinp_common::size::Cpu;

use super::{Setting, pick};

/// The largest instance, by which the room is counted.
pub const LARGEST_MIB: u64 = 256;
const LARGEST_CPU: Cpu = Cpu(250);

/// What the releases of a seed ask for, and what its nodes are.
#[derive(Debug, Clone)]
pub struct Asks {
    zones: usize,
    /// Some releases reserve processor time.
    cpu: bool,
    /// What an app asks for, where a release of it asks at all.
    placements: Vec<Placement>,
    /// Nodes that each app may stand on, whatever its release asks.
    allowed: Vec<u32>,
}

impl Asks {
    pub(super) fn draw(rng: &mut fastrand::Rng, nodes: usize, apps: usize) -> Self {
        let zones = *pick(rng, &[1, 1, 2, 3]);
        let anywhere = rng.u32(0..3) > 0;
        let mut placements = vec![Placement::default(); apps];
        if !anywhere {
            placements.iter_mut().for_each(|placement| *placement = draw_placement(rng, nodes, zones));
        }
        let mut asks = Self { zones, cpu: rng.u32(0..3) == 0, placements, allowed: Vec::new() };
        let allowed = |app| (0..nodes).filter(|node| asks.allows(app, *node)).count() as u32;
        asks.allowed = (0..apps).map(allowed).collect();
        asks
    }

    pub fn zone(&self, node: usize) -> String {
        format!("z{}", node % self.zones)
    }

    pub fn labels(&self, node: usize) -> BTreeMap<String, String> {
        let disk = if node.is_multiple_of(2) { "ssd" } else { "hdd" };
        BTreeMap::from([("disk".to_owned(), disk.to_owned())])
    }

    /// Processor time that one release reserves.
    pub fn draw_cpu(&self, rng: &mut fastrand::Rng) -> Option<Cpu> {
        if self.cpu { *pick(rng, &[None, Some(Cpu(50)), Some(LARGEST_CPU)]) } else { None }
    }

    /// Where one release of an app may stand.
    pub fn draw_placement(&self, rng: &mut fastrand::Rng, app: usize) -> Placement {
        if rng.u32(0..4) == 0 { Placement::default() } else { self.placements[app].clone() }
    }

    fn allows(&self, app: usize, node: usize) -> bool {
        let asked = &self.placements[app];
        let labels = self.labels(node);
        let labelled = asked.labels.iter().all(|(key, value)| labels.get(key) == Some(value));
        labelled && (asked.zones.is_empty() || asked.zones.contains(&self.zone(node)))
    }
}

fn draw_placement(rng: &mut fastrand::Rng, nodes: usize, zones: usize) -> Placement {
    let mut placement = Placement::default();
    match rng.u32(0..6) {
        0 => drop(placement.labels.insert("disk".to_owned(), "ssd".to_owned())),
        1 => {
            let first = rng.usize(..zones.min(nodes));
            placement.zones = BTreeSet::from([format!("z{first}")]);
        }
        2 | 3 => placement.per_node = Some(rng.u32(1..=3)),
        _ => {}
    }
    placement
}

/// Whether a node is what a release asks for.
pub fn meets(asked: &Placement, facts: &NodeFacts) -> bool {
    let labelled = asked.labels.iter().all(|(key, value)| facts.labels.get(key) == Some(value));
    labelled && (asked.zones.is_empty() || asked.zones.contains(&facts.zone))
}

impl Setting {
    /// Instances an app may want: as many as its nodes may hold of one release.
    pub fn most_of(&self, app: usize) -> u32 {
        let per_node = self.asks.placements[app].per_node.map_or(self.instances, |most| most * self.asks.allowed[app]);
        self.instances.min(per_node)
    }

    /// Instances of all apps together: half of what the fewest nodes that an app asks for can hold. The rest is for
    /// rollouts, drains and lost nodes.
    pub fn room(&self) -> u64 {
        let by_cpu = if self.asks.cpu { u64::from(Cpu::whole(self.cpus).0 / LARGEST_CPU.0) } else { u64::MAX };
        let a_node = u64::from(self.addresses).min(self.memory.0 / LARGEST_MIB).min(by_cpu);
        let fewest = self.asks.allowed.iter().copied().min().unwrap_or(1);
        (a_node * u64::from(fewest) / 2).max(1)
    }
}
