//! What a report has to say, given what the server was told before.

use std::collections::BTreeMap;

use dinp_common::instance::InstanceId;
use dinp_common::node::NodeFacts;
use dinp_common::wire::{AssignmentVersion, InstanceReport, Orphan, Report};
use dinp_planner::agent::Observed;

/// What the server on the other end of one connection knows.
#[derive(Debug, Default)]
pub struct Told {
    /// It has had a full report on this connection.
    whole: bool,
    assignment: Option<AssignmentVersion>,
    instances: BTreeMap<InstanceId, InstanceReport>,
    cooling: Vec<InstanceId>,
    orphans: Vec<Orphan>,
}

impl Told {
    /// A report that says everything; until the node knows everything itself, one that says what there is.
    pub fn full(&mut self, boot: &str, seq: &mut u64, observed: &Observed, facts: &NodeFacts) -> Report {
        *self = Self {
            whole: observed.complete,
            assignment: observed.assignment,
            instances: observed.instances.clone(),
            cooling: observed.cooling.clone(),
            orphans: observed.orphans.clone(),
        };
        report(boot, seq, observed, facts, observed.complete, observed.instances.clone())
    }

    /// A report of what has changed, if anything has. The first complete state is told as a whole.
    pub fn change(&mut self, boot: &str, seq: &mut u64, observed: &Observed, facts: &NodeFacts) -> Option<Report> {
        if observed.complete && !self.whole {
            return Some(self.full(boot, seq, observed, facts));
        }
        let news: BTreeMap<_, _> = observed
            .instances
            .iter()
            .filter(|(id, report)| self.instances.get(*id) != Some(*report))
            .map(|(id, report)| (id.clone(), report.clone()))
            .collect();
        let same = news.is_empty()
            && self.assignment == observed.assignment
            && self.cooling == observed.cooling
            && self.orphans == observed.orphans;
        if same {
            return None;
        }
        self.assignment = observed.assignment;
        self.instances.retain(|id, _| observed.instances.contains_key(id));
        self.instances.extend(news.clone());
        self.cooling.clone_from(&observed.cooling);
        self.orphans.clone_from(&observed.orphans);
        Some(report(boot, seq, observed, facts, false, news))
    }
}

/// A report that says no more than that the agent lives.
pub fn heartbeat(boot: &str, seq: &mut u64, observed: &Observed, facts: &NodeFacts) -> Report {
    report(boot, seq, observed, facts, false, BTreeMap::new())
}

fn report(
    boot: &str,
    seq: &mut u64,
    observed: &Observed,
    facts: &NodeFacts,
    full: bool,
    instances: BTreeMap<InstanceId, InstanceReport>,
) -> Report {
    *seq += 1;
    let mut facts = facts.clone();
    facts.capacity.addresses = observed.addresses;
    Report {
        boot: boot.to_owned(),
        seq: *seq,
        full,
        assignment: observed.assignment,
        instances,
        cooling: observed.cooling.clone(),
        orphans: observed.orphans.clone(),
        facts,
    }
}

#[cfg(test)]
mod tests {
    use dinp_common::instance::Seen;
    use dinp_common::name::AppName;
    use dinp_common::release::ReleaseNo;

    use super::*;

    fn observed(complete: bool, seen: &[(u64, Seen)]) -> Observed {
        let app = AppName::parse("shop").expect("name");
        let instances = seen.iter().map(|(n, seen)| {
            let report =
                InstanceReport { app: app.clone(), release: ReleaseNo(1), seen: seen.clone(), listening: vec![], restarts: 0 };
            (InstanceId::from_sequence(*n), report)
        });
        Observed { complete, instances: instances.collect(), ..Observed::default() }
    }

    #[test]
    fn only_what_changed_is_told_and_the_first_complete_state_as_a_whole() {
        let facts = crate::facts::at_start("", &BTreeMap::new());
        let (mut told, mut seq) = (Told::default(), 0);
        let before = observed(false, &[]);
        assert!(!told.full("b", &mut seq, &before, &facts).full, "what is not known is not told as known");
        assert_eq!(told.change("b", &mut seq, &before, &facts), None);

        let both = observed(true, &[(1, Seen::Stopping), (2, Seen::Stopping)]);
        let first = told.change("b", &mut seq, &both, &facts).expect("news");
        assert!(first.full && first.instances.len() == 2);

        let one = observed(true, &[(1, Seen::Gone), (2, Seen::Stopping)]);
        let second = told.change("b", &mut seq, &one, &facts).expect("news");
        assert!(!second.full && second.instances.len() == 1);
        assert_eq!((first.seq, second.seq), (2, 3));
        assert_eq!(told.change("b", &mut seq, &one, &facts), None);
    }
}
