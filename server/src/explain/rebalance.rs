//! How far a rebalance is, as people read it.

use dinp_common::api::{MoveView, RebalanceState, RebalanceView};
use dinp_common::rebalance::{Moving, Rebalance};

use super::count;
use crate::cluster::Snapshot;

/// `last` is as it is stored now, which the last plan may not have seen yet.
pub fn rebalance_view(snapshot: &Snapshot, last: Option<&Rebalance>) -> RebalanceView {
    let Some(last) = last else {
        let step = "nobody has asked for a rebalance yet".to_owned();
        return RebalanceView { state: RebalanceState::None, by: None, begun: false, moved: 0, moves: Vec::new(), step };
    };
    let from = |moving: &Moving| {
        let known = snapshot.desired.instances.iter().find(|instance| instance.id == moving.instance);
        known.map(|instance| instance.node.clone())
    };
    let view = |moving: &Moving| {
        let Moving { instance, app, to, .. } = moving.clone();
        MoveView { instance, app, from: from(moving), to }
    };
    let moves: Vec<MoveView> = last.under_way().map(view).collect();
    let (state, step) = match &last.ended {
        None => (RebalanceState::Running, step(last, &moves)),
        Some(why) if last.cancelled => (RebalanceState::Cancelled, format!("{}; {why}", moved(last.moved))),
        Some(why) => (RebalanceState::Ended, format!("{}: {why}", moved(last.moved))),
    };
    RebalanceView { state, by: Some(last.by.clone()), begun: false, moved: last.moved, moves, step }
}

fn moved(n: u32) -> String {
    match n {
        0 => "nothing has moved".to_owned(),
        1 => "1 instance has moved".to_owned(),
        n => format!("{} have moved", count(n, "instance")),
    }
}

fn step(last: &Rebalance, moves: &[MoveView]) -> String {
    let on_their_way: Vec<String> =
        moves.iter().map(|moving| format!("{} of {} to {}", moving.instance, moving.app, moving.to)).collect();
    let now = match on_their_way.as_slice() {
        [] => "the next move is chosen when nothing else is under way".to_owned(),
        _ => format!("on its way: {}", on_their_way.join(", ")),
    };
    let failed = match last.failures() {
        0 => String::new(),
        n => format!(", {} failed", count(n, "move")),
    };
    format!("{}{failed}; {now}", moved(last.moved))
}
