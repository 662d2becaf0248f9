//! What no node can take as the nodes are now: accepted, said clearly, and waited for.
//!
//! Nodes come, go, and are given labels, so none of this is refused; what one machine can never hold is
//! ([`super::check`]).

use dinp_common::node::{NodeFacts, NodeStatus};
use dinp_common::placement::Placement;
use dinp_common::size::{Cpu, MiB};

use super::instances;
use crate::cluster::Snapshot;

/// What the instances of a deploy ask of nodes.
#[derive(Debug)]
pub struct Needs<'a> {
    pub instances: u32,
    pub memory: MiB,
    pub cpu: Option<Cpu>,
    pub placement: &'a Placement,
}

/// Sentences, one for each thing that keeps instances waiting; none where no node has reported yet.
pub fn warnings(snapshot: &Snapshot, needs: &Needs<'_>) -> Vec<String> {
    let known: Vec<&NodeFacts> = snapshot
        .nodes
        .values()
        .filter(|node| matches!(node.status, NodeStatus::Ready | NodeStatus::Suspect))
        .filter_map(|node| node.facts.as_ref())
        .collect();
    if known.is_empty() || needs.instances == 0 {
        return Vec::new();
    }
    let rules = needs.placement;
    let has = |facts: &NodeFacts, key: &String, value: &String| facts.labels.get(key) == Some(value);
    let stands = |facts: &NodeFacts| rules.zones.is_empty() || rules.zones.contains(&facts.zone);
    let mut warnings: Vec<String> = rules
        .labels
        .iter()
        .filter(|(key, value)| !known.iter().any(|facts| has(facts, key, value)))
        .map(|(key, value)| format!("no node has label {key}={value}; nothing is placed until one has"))
        .collect();
    if !known.iter().any(|facts| stands(facts)) {
        let zones = rules.zones.iter().cloned().collect::<Vec<_>>().join(" or ");
        warnings.push(format!("no node stands in zone {zones}; nothing is placed until one does"));
    }
    let fit: Vec<&&NodeFacts> =
        known.iter().filter(|facts| stands(facts) && rules.labels.iter().all(|(key, value)| has(facts, key, value))).collect();
    if warnings.is_empty() && fit.is_empty() {
        warnings.push(format!("no node meets all of {rules} together; nothing is placed until one does"));
    }
    if !fit.is_empty() {
        warnings.extend(size(&fit, needs));
    }
    warnings
}

fn size(fit: &[&&NodeFacts], needs: &Needs<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let memory = fit.iter().map(|facts| facts.capacity.memory).max().unwrap_or(MiB(0));
    if needs.memory > memory {
        warnings.push(format!(
            "{} for one instance is more than any node it may stand on has: the largest has {memory}; nothing is placed until \
             a larger one joins",
            needs.memory
        ));
    }
    let cpus = fit.iter().map(|facts| Cpu::whole(facts.capacity.cpus)).max().unwrap_or(Cpu(0));
    if let Some(cpu) = needs.cpu.filter(|cpu| *cpu > cpus) {
        warnings.push(format!("{cpu} CPU for one instance is more than any node it may stand on has: the largest has {cpus}"));
    }
    let Some(per_node) = needs.placement.per_node else { return warnings };
    let most = u64::from(per_node) * fit.len() as u64;
    if u64::from(needs.instances) > most {
        warnings.push(format!(
            "at most {per_node} may stand on a node, and it may stand on {} of them: {} of {} wait until more nodes join",
            fit.len(),
            u64::from(needs.instances) - most,
            instances(needs.instances)
        ));
    }
    warnings
}
