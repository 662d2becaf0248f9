//! One node, as the operator reads it, and how far its drain is.

use std::collections::BTreeSet;

use dinp_common::api::{DrainState, DrainView, NodeDetail, NodeView};
use dinp_common::instance::{Instance, Seen, Want};
use dinp_common::name::AppName;
use dinp_common::node::{Node, NodeStatus};
use dinp_common::size::MiB;

use super::{count, instance_view};

use crate::cluster::{SeenNode, Snapshot};
use crate::room;

/// The status of a node that reports and has its Docker.
pub fn used_as(node: &Node) -> NodeStatus {
    match (node.draining, node.cordoned) {
        (true, _) => NodeStatus::Draining,
        (false, true) => NodeStatus::Cordoned,
        (false, false) => NodeStatus::Ready,
    }
}

/// `node` is as it is stored now, which the last plan may not have seen yet.
pub fn node_view(snapshot: &Snapshot, node: &Node, seen: &SeenNode) -> NodeView {
    let name = &node.name;
    let here = || snapshot.desired.instances.iter().filter(|instance| instance.node == *name);
    let reserved = here().map(|instance| room::memory(snapshot, instance).0).sum();
    let facts = seen.facts.as_ref();
    let (docker, reason) = match facts.map(|facts| &facts.docker) {
        Some(Ok(version)) => (Some(version.clone()), reason(snapshot, node, seen)),
        Some(Err(why)) => (None, format!("Docker does not answer: {why}")),
        None => (None, seen.reason.clone()),
    };
    NodeView {
        name: name.clone(),
        status: status(node, seen),
        reason,
        cordoned: node.cordoned,
        draining: node.draining,
        zone: facts.map(|facts| facts.zone.clone()).unwrap_or_default(),
        labels: facts.map(|facts| facts.labels.clone()).unwrap_or_default(),
        capacity: facts.map(|facts| facts.capacity.clone()),
        memory_reserved: MiB(reserved),
        instances: here().count() as u32,
        docker,
        version: facts.map(|facts| facts.version.clone()),
        disk_free: facts.map_or(0, |facts| facts.disk_free),
        disk_total: facts.map_or(0, |facts| facts.disk_total),
        orphans: seen.orphans.clone(),
    }
}

pub fn node_detail(snapshot: &Snapshot, node: &Node, seen: &SeenNode) -> NodeDetail {
    let here = snapshot.desired.instances.iter().filter(|instance| instance.node == node.name);
    let instances_here = here.map(|instance| instance_view(snapshot, instance)).collect();
    NodeDetail { node: node_view(snapshot, node, seen), instances_here }
}

fn status(node: &Node, seen: &SeenNode) -> NodeStatus {
    match seen.status {
        NodeStatus::Ready | NodeStatus::Cordoned | NodeStatus::Draining => used_as(node),
        NodeStatus::Suspect | NodeStatus::Lost => seen.status,
    }
}

fn reason(snapshot: &Snapshot, node: &Node, seen: &SeenNode) -> String {
    match status(node, seen) {
        NodeStatus::Cordoned => "nothing new is placed on it".to_owned(),
        NodeStatus::Draining => drain_view(snapshot, node).step,
        NodeStatus::Ready | NodeStatus::Suspect | NodeStatus::Lost => seen.reason.clone(),
    }
}

/// An instance whose container is gone holds nothing of its node but an address that nobody uses.
fn is_there(snapshot: &Snapshot, instance: &Instance) -> bool {
    snapshot.instances.get(&instance.id).is_none_or(|report| report.seen != Seen::Gone)
}

pub fn drain_view(snapshot: &Snapshot, node: &Node) -> DrainView {
    let here = snapshot.desired.instances.iter().filter(|instance| instance.node == node.name);
    let left: Vec<&Instance> = here.filter(|instance| is_there(snapshot, instance)).collect();
    let apps: BTreeSet<&AppName> = left.iter().map(|instance| &instance.app).collect();
    let of_app = |app: &&AppName| {
        let holds = snapshot.holds.get(*app).into_iter().flatten();
        let app = app.to_string();
        holds.map(move |hold| format!("{app}: {hold}")).collect::<Vec<_>>()
    };
    let holds: Vec<String> = apps.iter().flat_map(of_app).collect();
    let stuck = stuck(snapshot, node, &left).filter(|_| node.draining);
    // A plan that has not seen the drain may still place something here.
    let planned = snapshot.desired.nodes.iter().any(|known| known.name == node.name && known.draining);
    let (state, step) = match (node.draining, left.len() as u32) {
        (false, _) => (DrainState::None, "it is not being drained".to_owned()),
        (true, 0) if !planned => (DrainState::Draining, "the drain has begun".to_owned()),
        (true, 0) => (DrainState::Drained, format!("nothing is left on {}: it is safe to switch off", node.name)),
        (true, n) => {
            let held = holds.first().map(|hold| format!("; held back: {hold}")).unwrap_or_default();
            let held = stuck.as_ref().map_or(held, |stuck| format!("; {stuck}"));
            (DrainState::Draining, format!("{} still to move{held}", count(n, "instance")))
        }
    };
    let instances = left.into_iter().map(|instance| instance_view(snapshot, instance)).collect();
    DrainView { node: node.name.clone(), state, step, instances, holds, stuck }
}

/// Why nothing on the node moves any more: each app that is left there asks for room that no node has, and has no
/// successor under way.
fn stuck(snapshot: &Snapshot, node: &Node, left: &[&Instance]) -> Option<String> {
    let desired = &snapshot.desired;
    // What leaves anywhere gives room back when it is gone.
    if left.is_empty() || desired.instances.iter().any(|instance| instance.want != Want::Run) {
        return None;
    }
    let apps: BTreeSet<&AppName> = left.iter().map(|instance| &instance.app).collect();
    let starts = |app: &AppName| desired.instances_of(app).any(|instance| instance.want == Want::Run && !instance.proven);
    if apps.iter().any(|app| starts(app)) {
        return None;
    }
    let whys: Option<Vec<String>> = apps.iter().map(|app| Some(format!("{app}: {}", snapshot.no_room.get(*app)?))).collect();
    let whys = whys?.join("; ");
    let name = &node.name;
    Some(match desired.nodes.len() {
        1 => format!("{name} is the only node, so nothing on it can move ({whys})"),
        _ => format!("no other node can take what is left on {name}: {whys}"),
    })
}
