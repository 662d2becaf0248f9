//! What a rebalance moves: gently, between nodes that take part, and only where that helps.

use std::collections::BTreeSet;

use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::name::{AppName, NodeName};
use dinp_common::plan::Change;
use dinp_common::rebalance::{Moving, Rebalance};

use super::World;
use crate::sim::names;
use crate::sim::server::PassData;

impl World {
    /// Judged as each move is recorded; what follows from it is judged as with any other instance.
    pub(super) fn moves_help(&mut self, changes: &[Change], data: &PassData) {
        let Some(state) = recorded(changes) else { return };
        let under_way: Vec<&Moving> = state.under_way().collect();
        let apps: BTreeSet<&AppName> = under_way.iter().map(|moving| &moving.app).collect();
        let most = self.k.setting.policy.rebalance_at_once as usize;
        if under_way.len() > most || apps.len() < under_way.len() {
            let what = format!("{most} may move at once, and no two of one app: {under_way:?}");
            return self.broken("balance (few move at once)", what);
        }
        let known = data.desired.rebalancing();
        for moving in under_way {
            let is_known = known.is_some_and(|known| known.moves.iter().any(|other| other.instance == moving.instance));
            if !is_known && let Some(why) = self.wrong(moving, changes, data) {
                return self.broken("balance (a move helps)", format!("{moving:?}: {why}"));
            }
        }
    }

    /// For which rebalance each instance is started that succeeds another one.
    pub(super) fn successors_are_noted(&mut self, changes: &[Change]) {
        let Some(state) = recorded(changes) else { return };
        let successors = placed(changes).filter(|new| is_successor(new, changes));
        self.watch.successors.extend(successors.map(|new| (new.id.clone(), state.number)));
    }

    /// People have ended the rebalance that goes on, and with it the moves that are under way.
    pub fn watch_called_off(&mut self) {
        let number = self.store.tables.rebalance.as_ref().map(|cancelled| cancelled.number);
        self.watch.called_off.extend(number);
    }

    /// Whether people have cancelled the rebalance for which it was started: it is taken back because they say so.
    pub(super) fn is_called_off(&self, instance: &InstanceId) -> bool {
        self.watch.successors.get(instance).is_some_and(|number| self.watch.called_off.contains(number))
    }

    /// Why a move should not have begun, if so.
    fn wrong(&self, moving: &Moving, changes: &[Change], data: &PassData) -> Option<String> {
        let leaves = data.desired.instances.iter().find(|other| other.id == moving.instance)?;
        if data.desired.deploy(&moving.app).is_some() {
            return Some("a deploy of its app is under way".to_owned());
        }
        let is_like =
            |new: &&Instance| (new.release, new.generation, new.index) == (leaves.release, leaves.generation, leaves.index);
        if placed(changes).filter(|new| new.app == moving.app && new.node == moving.to).filter(is_like).count() != 1 {
            return Some("it has no successor there".to_owned());
        }
        let cordoned = |node: &NodeName| data.desired.nodes.iter().any(|other| other.name == *node && other.cordoned);
        if cordoned(&leaves.node) || cordoned(&moving.to) {
            return Some(format!("{} or {} is cordoned", leaves.node, moving.to));
        }
        self.worsens(moving, leaves, changes, data)
    }

    /// All nodes have the same memory here, so that sums can be compared.
    fn worsens(&self, moving: &Moving, leaves: &Instance, changes: &[Change], data: &PassData) -> Option<String> {
        let stays = standing(moving, changes, data);
        let memory = |one: &Instance| self.store.tables.spec(&one.app, one.release).map_or(0, |spec| spec.memory.0);
        let on = |node: &NodeName| stays.iter().filter(|one| one.node == *node).map(|one| memory(one)).sum::<u64>();
        // It is counted where it was, and its successor is not.
        let (from, to) = (on(&leaves.node), on(&moving.to) + memory(leaves));
        let zone = |node: &NodeName| self.nodes[names::number(node.as_str())].facts.zone.clone();
        let of_app = || stays.iter().filter(|one| one.app == moving.app);
        let in_zone = |node: &NodeName| of_app().filter(|one| zone(&one.node) == zone(node)).count();
        let on_node = |node: &NodeName| of_app().filter(|one| one.node == *node).count();
        // By how many more the old place held than the new one will.
        let zones = if zone(&leaves.node) == zone(&moving.to) {
            0
        } else {
            in_zone(&leaves.node) as i64 - in_zone(&moving.to) as i64 - 1
        };
        let nodes = on_node(&leaves.node) as i64 - on_node(&moving.to) as i64 - 1;
        let clear = 100 - u64::from(self.k.setting.policy.rebalance_gain_percent);
        let helps = match (zones, nodes) {
            (0, 0) => to * 100 <= from * clear,
            (zones, nodes) => (zones, nodes) > (0, 0) && to <= from,
        };
        let what = format!("{from} MiB on {} and {to} with it there; zones {zones}, nodes {nodes}", leaves.node);
        (!helps).then_some(what)
    }
}

/// What is to stay as it is without this one move: what leaves is gone, and what is started elsewhere is there.
fn standing<'a>(moving: &Moving, changes: &'a [Change], data: &'a PassData) -> Vec<&'a Instance> {
    let state = recorded(changes);
    let moves = state.into_iter().flat_map(|state| state.under_way()).filter(|other| other.instance != moving.instance);
    let decided = changes.iter().filter_map(|change| match change {
        Change::Move { instance, .. } => Some(instance),
        _ => None,
    });
    let leaving: BTreeSet<&InstanceId> = moves.map(|other| &other.instance).chain(decided).collect();
    let here = data.desired.instances.iter().filter(|one| one.want == Want::Run && !leaving.contains(&one.id));
    here.chain(placed(changes).filter(|new| new.app != moving.app || new.node != moving.to)).collect()
}

/// Whether it is started for one that moves there.
pub(super) fn is_successor(new: &Instance, changes: &[Change]) -> bool {
    recorded(changes).is_some_and(|state| state.under_way().any(|moving| moving.app == new.app && moving.to == new.node))
}

/// Whether it moves to another node, and another one may be started in its place.
pub(super) fn moves(instance: &InstanceId, data: &PassData) -> bool {
    data.desired.rebalancing().is_some_and(|state| state.under_way().any(|moving| moving.instance == *instance))
}

fn recorded(changes: &[Change]) -> Option<&Rebalance> {
    changes.iter().find_map(|change| match change {
        Change::Rebalance(state) => Some(state),
        _ => None,
    })
}

fn placed(changes: &[Change]) -> impl Iterator<Item = &Instance> {
    changes.iter().filter_map(|change| match change {
        Change::Place { instance, .. } => Some(instance),
        _ => None,
    })
}
