//! What each node should have, as a level.

use dinp_common::instance::InstanceId;
use dinp_common::name::NodeName;
use dinp_common::plan::Desired;
use dinp_common::wire::Assignment;

use crate::observed::Observed;

/// Everything assigned to `node`. Every instance that is recorded is assigned, to be stopped ones included: only a
/// stored decision takes anything away.
///
/// # Errors
/// The instance whose release is missing from `desired`, which is then not whole and must not be acted on.
pub fn assignments(desired: &Desired, node: &NodeName) -> Result<Vec<Assignment>, InstanceId> {
    desired
        .instances
        .iter()
        .filter(|instance| instance.node == *node)
        .map(|instance| {
            let spec = desired.spec(&instance.app, instance.release).ok_or_else(|| instance.id.clone())?;
            Ok(Assignment {
                instance: instance.id.clone(),
                app: instance.app.clone(),
                release: instance.release,
                index: instance.index,
                want: instance.want,
                spec: spec.clone(),
            })
        })
        .collect()
}

/// Of the addresses a node keeps in quarantine, those that may be used again: their instances' records are gone,
/// and a record goes only after every recorded router has confirmed the withdrawal.
pub fn released(desired: &Desired, observed: &Observed, node: &NodeName) -> Vec<InstanceId> {
    let Some(seen) = observed.nodes.get(node) else { return Vec::new() };
    let recorded = |id: &InstanceId| desired.instances.binary_search_by(|instance| instance.id.cmp(id)).is_ok();
    seen.cooling.iter().filter(|id| !recorded(id)).cloned().collect()
}
