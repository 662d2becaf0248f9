//! What a report has to say, given what the server was told before.

use std::collections::BTreeMap;

use dinp_common::instance::{InstanceId, Seen};
use dinp_common::node::NodeFacts;
use dinp_common::wire::{AssignmentVersion, InstanceReport, Orphan, Report};

use super::Observed;
use super::json_size::json_size;

/// Bytes of last outputs, as JSON, that one report carries whole: a quarter of a message, and 128 outputs of ordinary
/// text. A restart of Docker ends every instance of a node at once.
const OUTPUTS_WHOLE: usize = 4 * 1024 * 1024;
/// Bytes of each output beyond those: 1,000 of them, all control characters, take 6 MB.
const OUTPUT_END: usize = 1024;

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
    mut instances: BTreeMap<InstanceId, InstanceReport>,
) -> Report {
    *seq += 1;
    bound_outputs(&mut instances);
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

/// Shortens outputs until the report fits a message. Which ones is decided by the order of their ids alone, so that every
/// full report says the same; a new death is told first by a report of what has changed, and so whole.
fn bound_outputs(instances: &mut BTreeMap<InstanceId, InstanceReport>) {
    let mut left = OUTPUTS_WHOLE;
    for report in instances.values_mut() {
        let Seen::Exited { exit } = &mut report.seen else { continue };
        match left.checked_sub(json_size(&exit.output)) {
            Some(rest) => left = rest,
            None => {
                let from = exit.output.ceil_char_boundary(exit.output.len().saturating_sub(OUTPUT_END));
                exit.output.drain(..from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dinp_common::exit::Exit;
    use dinp_common::limits::{INSTANCES_PER_NODE, LAST_OUTPUT_BYTES, WIRE_MESSAGE_BYTES};
    use dinp_common::name::AppName;
    use dinp_common::release::ReleaseNo;

    use super::*;
    use crate::fixture::facts;

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
        let facts = facts();
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

    #[test]
    fn a_node_whose_instances_have_all_died_still_reports_in_one_message() {
        let facts = facts();
        for output in ["\0".repeat(LAST_OUTPUT_BYTES), "é".repeat(LAST_OUTPUT_BYTES / 2)] {
            let exited = |output: &str| Seen::Exited { exit: Exit { code: 1, oom: false, output: output.to_owned() } };
            let dead: Vec<_> = (1..=u64::from(INSTANCES_PER_NODE)).map(|n| (n, exited(&output))).collect();
            let (mut told, observed) = (Told::default(), observed(true, &dead));
            let report = told.full("b", &mut 0, &observed, &facts);
            let bytes = serde_json::to_string(&report).expect("encodes").len();
            assert!(bytes < WIRE_MESSAGE_BYTES, "{bytes}");
            let first = report.instances.values().next().map(|report| &report.seen);
            let last = report.instances.values().next_back().map(|report| &report.seen);
            assert_eq!(first, Some(&exited(&output)));
            assert_eq!(last, Some(&exited(&output[output.len() - OUTPUT_END..])));
            assert_eq!(told.change("b", &mut 0, &observed, &facts), None, "what was shortened is no news");
        }
    }
}
