//! One node, as the operator reads it.

use dinp_common::api::NodeView;
use dinp_common::name::NodeName;
use dinp_common::size::MiB;

use crate::cluster::{SeenNode, Snapshot};
use crate::room;

pub fn node_view(snapshot: &Snapshot, name: &NodeName, seen: &SeenNode) -> NodeView {
    let here = || snapshot.desired.instances.iter().filter(|instance| instance.node == *name);
    let reserved = here().map(|instance| room::memory(snapshot, instance).0).sum();
    let facts = seen.facts.as_ref();
    let (docker, reason) = match facts.map(|facts| &facts.docker) {
        Some(Ok(version)) => (Some(version.clone()), seen.reason.clone()),
        Some(Err(why)) => (None, format!("Docker does not answer: {why}")),
        None => (None, seen.reason.clone()),
    };
    NodeView {
        name: name.clone(),
        status: seen.status,
        reason,
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
