//! Where more run than are wanted, those go that are missed least: from the densest crowd, the youngest first.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::deploy::{Deploy, DeployKind};
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::name::NodeName;
use dinp_common::plan::Change;

use super::{LAG, World};
use crate::sim::names;
use crate::sim::server::PassData;

impl World {
    /// Judged only where all are equally well, so that nobody can see them otherwise.
    pub(super) fn weakest_go_first(&mut self, s: usize, changes: &[Change], data: &PassData) {
        let moved: BTreeSet<&InstanceId> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Move { instance, want: Want::Drain, .. } => Some(instance),
                _ => None,
            })
            .collect();
        let apps: BTreeSet<_> =
            data.desired.instances.iter().filter(|instance| moved.contains(&instance.id)).map(|instance| &instance.app).collect();
        for name in apps {
            let Some(app) = data.desired.app(name).filter(|app| !app.stopped && !app.deleted) else { continue };
            // A scale may have taken over a restart, which replaces them all.
            let target = (app.live, app.generation);
            let scales = |deploy: &Deploy| deploy.kind == DeployKind::Scale && (deploy.to, deploy.generation) == target;
            let run: Vec<&Instance> = data.desired.instances_of(name).filter(|other| other.want == Want::Run).collect();
            let all_live = run.iter().all(|other| (Some(other.release), other.generation) == (app.live, app.generation));
            if !all_live || app.instances == 0 || !data.desired.deploy(name).is_none_or(scales) || !self.are_alike(s, &run, data)
            {
                continue;
            }
            let gone: BTreeSet<&InstanceId> = run.iter().map(|other| &other.id).filter(|id| moved.contains(id)).collect();
            let first = self.first_to_go(&run, gone.len());
            if gone != first {
                let what = format!("{gone:?} of {name} leave, and {first:?} stand closer together or are younger");
                return self.broken("section 6 (excess leaves in order)", what);
            }
        }
    }

    /// All of them are well, have been for long, stay where they are, and none stands in for another.
    fn are_alike(&self, s: usize, run: &[&Instance], data: &PassData) -> bool {
        let patience = self.k.setting.policy.lost_after_ms + LAG;
        let leaves = |node: &NodeName| data.desired.nodes.iter().any(|other| other.name == *node && other.draining);
        let numbers: BTreeSet<u32> = run.iter().map(|other| other.index).collect();
        numbers.len() == run.len()
            && run.iter().all(|other| {
                other.proven
                    && !leaves(&other.node)
                    && self.serves_steadily(&other.id, &other.node, patience)
                    && self.node_is_well(names::number(other.node.as_str()), s, patience)
            })
    }

    fn first_to_go<'a>(&self, run: &[&'a Instance], count: usize) -> BTreeSet<&'a InstanceId> {
        let mut crowds: BTreeMap<&NodeName, usize> = BTreeMap::new();
        run.iter().for_each(|other| *crowds.entry(&other.node).or_default() += 1);
        let mut left: Vec<&Instance> = run.to_vec();
        let mut first = BTreeSet::new();
        for _ in 0..count {
            let age = |other: &Instance| self.watch.placed.get(&other.id).map_or(0, |placed| placed.sequence);
            let next = (0..left.len()).max_by_key(|at| (crowds.get(&left[*at].node).copied(), age(left[*at])));
            let Some(next) = next.map(|at| left.swap_remove(at)) else { break };
            crowds.entry(&next.node).and_modify(|crowd| *crowd -= 1);
            first.insert(&next.id);
        }
        first
    }
}
