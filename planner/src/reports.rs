//! What a server has been told of one node, merged from its reports.

use dinp_common::instance::InstanceId;
use dinp_common::node::NodeFacts;
use dinp_common::wire::{Hello, Orphan, Report};

use crate::observed::NodeSeen;
use crate::reported::Reported;
use crate::steadiness::Steadiness;
use crate::steps::Steps;

/// An instance that is not in here is unknown, not gone.
#[derive(Debug, Clone)]
pub struct Reports {
    boot: String,
    seq: u64,
    steadiness: Steadiness,
    facts: NodeFacts,
    instances: Reported,
    steps: Steps,
    cooling: Vec<InstanceId>,
    orphans: Vec<Orphan>,
}

/// What a report has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenIn {
    /// It is older than what is known, and says nothing, not even that the node lives.
    Stale,
    /// The node lives, and all of this was known.
    Known,
    /// A decision could depend on what is new.
    News,
}

impl Reports {
    /// After a greeting, `silent_ms` after the node was last heard. What the same start of the agent reported over an
    /// earlier connection stays known; of another one only its facts are, and how steadily the node was heard. `None` for
    /// `before` where nothing was known. Answers whether this begins anew, which alone says that the node lives.
    pub fn greeted(before: Option<Self>, hello: &Hello, silent_ms: u64) -> (Self, bool) {
        match before {
            Some(before) if before.boot == hello.boot => (before, false),
            Some(Self { mut steadiness, .. }) => {
                steadiness.heard(silent_ms);
                (Self { steadiness, ..Self::new(hello) }, true)
            }
            None => (Self::new(hello), true),
        }
    }

    /// A node of which no instance is known yet, which is not to say that it has none.
    fn new(hello: &Hello) -> Self {
        Self {
            boot: hello.boot.clone(),
            seq: 0,
            steadiness: Steadiness::default(),
            facts: hello.facts.clone(),
            instances: Reported::default(),
            steps: Steps::default(),
            cooling: Vec::new(),
            orphans: Vec::new(),
        }
    }

    /// Merges a report that comes `silent_ms` after the node was last heard. A delta replaces single instances, a full one
    /// all of them.
    pub fn take_in(&mut self, report: Report, silent_ms: u64) -> TakenIn {
        if self.boot != report.boot || self.seq >= report.seq {
            return TakenIn::Stale;
        }
        self.steadiness.heard(silent_ms);
        let before = (self.facts.capacity.addresses, self.facts.docker.is_ok());
        let mut changed = self.cooling != report.cooling || self.orphans != report.orphans;
        if report.full {
            if *self.instances != report.instances {
                changed = true;
                self.instances = report.instances.into();
            }
        } else {
            for (id, instance) in report.instances {
                if self.instances.get(&id) != Some(&instance) {
                    changed = true;
                    self.instances.insert(id, instance);
                }
            }
        }
        self.steps.follow(&self.instances, self.steadiness.clock_ms());
        self.seq = report.seq;
        self.cooling = report.cooling;
        self.orphans = report.orphans;
        self.facts = report.facts;
        changed |= before != (self.facts.capacity.addresses, self.facts.docker.is_ok());
        if changed { TakenIn::News } else { TakenIn::Known }
    }

    /// As a decision sees it, `silent_ms` after the last report that was not stale.
    pub fn seen(&self, silent_ms: u64) -> NodeSeen {
        NodeSeen {
            silent_ms,
            returns: self.steadiness.returns(silent_ms),
            facts: self.facts.clone(),
            instances: self.instances.clone(),
            steps: self.steps.spent(self.steadiness.clock_ms() + silent_ms),
            cooling: self.cooling.clone(),
            orphans: self.orphans.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use dinp_common::instance::Seen;
    use dinp_common::name::{AppName, NodeName};
    use dinp_common::release::ReleaseNo;
    use dinp_common::wire::{InstanceReport, PROTOCOL};

    use super::*;
    use crate::fixture::facts;

    fn hello(boot: &str) -> Hello {
        let node = NodeName::parse("n1").expect("name");
        Hello { protocol: PROTOCOL, node, cluster: None, boot: boot.into(), facts: facts(), highest: None }
    }

    fn report(boot: &str, seq: u64, full: bool, seen: &[(u64, Seen)]) -> Report {
        let app = AppName::parse("shop").expect("name");
        let instance = |seen: &Seen| InstanceReport {
            app: app.clone(),
            release: ReleaseNo(1),
            seen: seen.clone(),
            listening: vec![],
            restarts: 0,
        };
        Report {
            boot: boot.into(),
            seq,
            full,
            assignment: None,
            instances: seen.iter().map(|(n, seen)| (InstanceId::from_sequence(*n), instance(seen))).collect(),
            cooling: vec![],
            orphans: vec![],
            facts: facts(),
        }
    }

    #[test]
    fn late_and_foreign_reports_say_nothing_and_a_delta_forgets_nobody() {
        let (mut reports, anew) = Reports::greeted(None, &hello("a"), 0);
        assert!(anew);
        assert_eq!(reports.take_in(report("a", 2, true, &[(1, Seen::Stopping), (2, Seen::Stopping)]), 0), TakenIn::News);
        assert_eq!(reports.take_in(report("a", 1, true, &[]), 0), TakenIn::Stale, "gathered before the one that is known");
        assert_eq!(reports.take_in(report("a", 2, true, &[]), 0), TakenIn::Stale, "told twice");
        assert_eq!(reports.take_in(report("b", 9, true, &[]), 0), TakenIn::Stale, "of another start of the agent");
        assert_eq!(reports.take_in(report("a", 3, false, &[(1, Seen::Gone)]), 0), TakenIn::News);
        assert_eq!(reports.seen(0).instances.len(), 2);
        assert_eq!(reports.take_in(report("a", 4, false, &[]), 0), TakenIn::Known);
        assert_eq!(reports.take_in(report("a", 5, true, &[(1, Seen::Gone)]), 0), TakenIn::News);
        assert_eq!(reports.seen(0).instances.len(), 1);
    }

    #[test]
    fn another_connection_keeps_what_is_known_and_another_start_does_not() {
        let (mut reports, _) = Reports::greeted(None, &hello("a"), 0);
        reports.take_in(report("a", 1, true, &[(1, Seen::Stopping)]), 0);
        let (same, anew) = Reports::greeted(Some(reports.clone()), &hello("a"), 0);
        assert!(!anew && same.seen(0).instances.len() == 1);
        let (other, anew) = Reports::greeted(Some(reports), &hello("b"), 5_000);
        assert!(anew && other.seen(0).instances.is_empty());
        assert_eq!(other.seen(0).returns.len(), 1, "a new start does not make a node steady");
    }
}
