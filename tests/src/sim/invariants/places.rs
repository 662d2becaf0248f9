//! Where a leader puts new instances: only where there is room, where they may stand, and where people let them.

use std::collections::BTreeSet;

use dinp_common::instance::{Instance, Want};
use dinp_common::name::NodeName;
use dinp_common::plan::Change;
use dinp_common::release::RunSpec;

use super::World;
use crate::sim::names;
use crate::sim::server::PassData;
use crate::sim::setting::meets;

impl World {
    pub(super) fn places_are_good(&mut self, changes: &[Change], data: &PassData) {
        let placed = changes.iter().filter_map(|change| match change {
            Change::Place { instance, .. } => Some(instance),
            _ => None,
        });
        let placed: Vec<&Instance> = placed.collect();
        let nodes: BTreeSet<_> = placed.iter().map(|instance| &instance.node).collect();
        for node in nodes {
            self.nothing_is_oversold(node, &placed);
        }
        for instance in &placed {
            self.may_stand_there(instance, &placed, data);
        }
    }

    /// Memory and reserved processor time are taken until the container is gone.
    fn nothing_is_oversold(&mut self, node: &NodeName, placed: &[&Instance]) {
        let need = |instance: &Instance| {
            let spec = self.store.tables.spec(&instance.app, instance.release);
            spec.map_or((0, 0), |spec| (spec.memory.0, spec.cpu.map_or(0, |cpu| u64::from(cpu.0))))
        };
        let held = |instance: &&Instance| {
            let there = self.vessel(&instance.id, &instance.node).is_some();
            instance.node == *node && (there || instance.want == Want::Run)
        };
        let sum =
            |all: &mut dyn Iterator<Item = &Instance>| all.map(need).fold((0, 0), |sum, need| (sum.0 + need.0, sum.1 + need.1));
        let before = sum(&mut self.store.tables.instances.iter().filter(held));
        let new = sum(&mut placed.iter().copied().filter(|instance| instance.node == *node));
        let setting = &self.k.setting;
        let has = (setting.memory.0, u64::from(setting.cpus) * 1_000);
        if before.0 + new.0 > has.0 || (new.1 > 0 && before.1 + new.1 > has.1) {
            let what =
                format!("{node} has {has:?} MiB and thousandths of a processor, holds {before:?} and is given {new:?} more");
            self.broken("reservations", what);
        }
    }

    fn may_stand_there(&mut self, new: &Instance, placed: &[&Instance], data: &PassData) {
        let n = names::number(new.node.as_str());
        let Some(RunSpec { placement, .. }) = self.store.tables.spec(&new.app, new.release) else { return };
        let is_like = |other: &Instance| {
            (&other.app, other.release, other.generation, &other.node) == (&new.app, new.release, new.generation, &new.node)
        };
        let there = data.desired.instances.iter().filter(|other| is_like(other) && other.want == Want::Run).count();
        let with = there + placed.iter().filter(|other| is_like(other)).count();
        let crowded = placement.per_node.is_some_and(|most| with > most as usize);
        if crowded || !meets(placement, &self.nodes[n].facts) {
            let what = format!("{} of {} is one of {with} on {}; it asks for: {placement}", new.id, new.app, new.node);
            self.broken("placement (only where an app may stand)", what);
        }
    }
}
