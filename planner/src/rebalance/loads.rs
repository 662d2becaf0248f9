//! How full each node will be once all that is decided is done.

use std::collections::BTreeSet;

use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::plan::Change;
use dinp_common::rebalance::Rebalance;
use dinp_common::size::MiB;

use crate::plan::Pass;
use crate::steadiness::Return;

/// Fullness in millionths of a node's memory.
pub(super) const WHOLE: u64 = 1_000_000;

/// MiB that are to stay reserved on each node, by the node's rank. What leaves counts as gone, what is starting as there.
pub(super) struct Loads(Vec<u64>);

impl Loads {
    pub fn new(pass: &Pass<'_>, state: &Rebalance) -> Self {
        let mut loads = vec![0; pass.standings.recorded];
        let decided = pass.plan.changes.iter().filter_map(|change| match change {
            Change::Move { instance, .. } => Some(instance),
            _ => None,
        });
        let leaving: BTreeSet<&InstanceId> = decided.chain(state.under_way().map(|moving| &moving.instance)).collect();
        let mut last: Option<(&Instance, u64)> = None;
        let stays = |instance: &Instance| instance.want == Want::Run && !leaving.contains(&instance.id);
        for (instance, node) in pass.standings.present().filter(|(instance, _)| stays(instance)) {
            // App by app, so that most are of the release before.
            let memory = match last {
                Some((other, memory)) if other.release == instance.release && other.app == instance.app => memory,
                _ => memory(pass, instance),
            };
            last = Some((instance, memory));
            loads.get_mut(node as usize).into_iter().for_each(|load| *load += memory);
        }
        let nodes = &pass.standings.nodes[..pass.standings.recorded];
        for change in &pass.plan.changes {
            let Change::Place { instance, .. } = change else { continue };
            if let Ok(node) = nodes.binary_search_by(|row| row.name.cmp(&instance.node)) {
                loads[node] += memory(pass, instance);
            }
        }
        Self(loads)
    }

    /// How full a node of so many MiB is, were there so many more or fewer.
    pub fn fill(&self, node: u32, capacity: u32, more: i64) -> u64 {
        let load = self.0[node as usize].saturating_add_signed(more);
        load * WHOLE / u64::from(capacity.max(1))
    }
}

fn memory(pass: &Pass<'_>, instance: &Instance) -> u64 {
    pass.input.desired.spec(&instance.app, instance.release).map_or(MiB(0), |spec| spec.memory).0
}

/// Nodes that have joined or come back: nothing stands there, or this leader saw them return from being lost of late.
pub(super) fn arrived(pass: &Pass<'_>) -> BTreeSet<u32> {
    let (standings, policy) = (&pass.standings, pass.input.policy);
    let taken: BTreeSet<u32> = standings.present().map(|(_, node)| node).collect();
    let lately = |back: &Return| back.after_ms >= policy.lost_after_ms && back.ago_ms < policy.flap_window_ms;
    let rows = (0u32..).zip(&standings.nodes[..standings.recorded]);
    let arrived = rows.filter(|(at, row)| !taken.contains(at) || row.seen.is_some_and(|seen| seen.returns.iter().any(lately)));
    arrived.map(|(at, _)| at).collect()
}
