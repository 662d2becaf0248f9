//! A drain of a node ends when nothing of ours is left on it; it is said once, with the record of the last instance.

use std::collections::BTreeSet;

use dinp_common::event::Severity;
use dinp_common::instance::InstanceId;
use dinp_common::plan::{Change, Note};

use crate::plan::Pass;

/// Notes each draining node whose last instance this plan forgets.
pub(crate) fn drained(pass: &mut Pass<'_>) {
    if pass.draining.is_empty() {
        return;
    }
    let gone: BTreeSet<&InstanceId> = pass
        .plan
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::Forget { instance } => Some(instance),
            _ => None,
        })
        .collect();
    let desired = pass.input.desired;
    let mut notes = Vec::new();
    for node in &pass.draining {
        let mut here = desired.instances.iter().filter(|instance| instance.node == **node).peekable();
        if here.peek().is_some() && here.all(|instance| gone.contains(&instance.id)) {
            notes.push(Note {
                severity: Severity::Info,
                kind: "node_drained",
                app: None,
                instance: None,
                node: Some((*node).clone()),
                text: format!("Nothing is left on {node}: it is safe to switch off"),
                detail: None,
            });
        }
    }
    pass.plan.changes.extend(notes.into_iter().map(Change::Note));
}
