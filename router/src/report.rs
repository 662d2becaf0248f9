//! What the router says of itself: for its own process, and for a predecessor that still drains.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dinp_common::name::RouterId;
use dinp_common::route::{RouterStatus, TableCert, TableVersion};
use dinp_daemon::Nudge;

use crate::flights::Flights;

/// The state behind the reports, shared by whoever changes it and whoever sends it.
pub struct Reporter {
    id: RouterId,
    flights: Arc<Flights>,
    facts: Mutex<Facts>,
    changed: Nudge,
}

#[derive(Debug, Default)]
struct Facts {
    confirmed: Option<TableVersion>,
    /// Who published it.
    holder: Option<String>,
    /// Processes of this router that were replaced and still have something in flight, by the order they were.
    predecessors: BTreeMap<u64, RouterStatus>,
    next: u64,
}

impl Reporter {
    pub fn new(id: RouterId, flights: Arc<Flights>, changed: Nudge) -> Self {
        Self { id, flights, facts: Mutex::default(), changed }
    }

    pub fn id(&self) -> &RouterId {
        &self.id
    }

    pub fn confirm(&self, cert: &TableCert) {
        let mut facts = self.facts();
        (facts.confirmed, facts.holder) = (Some(cert.at()), Some(cert.fence.holder.clone()));
        drop(facts);
        self.changed.nudge();
    }

    pub fn confirmed(&self) -> Option<TableVersion> {
        self.facts().confirmed
    }

    /// Returns when there is something new to report.
    pub async fn changed(&self) {
        self.changed.nudged().await;
    }

    /// The status of the whole router. What is confirmed is read before what is in flight: a request that is missing
    /// from the count then certainly did not begin by an older table.
    pub fn status(&self) -> RouterStatus {
        let (confirmed, holder, predecessors) = {
            let facts = self.facts();
            (facts.confirmed, facts.holder.clone(), facts.predecessors.values().cloned().collect::<Vec<_>>())
        };
        let own = RouterStatus { router: self.id.clone(), confirmed, holder, in_flight: self.flights.in_flight() };
        predecessors.iter().fold(own, merged)
    }

    /// Counts a predecessor in, from its first status on, until the guard is dropped.
    pub fn predecessor(self: &Arc<Self>, status: RouterStatus) -> Predecessor {
        let key = {
            let mut facts = self.facts();
            facts.next += 1;
            let key = facts.next;
            facts.predecessors.insert(key, status);
            key
        };
        self.changed.nudge();
        Predecessor { reporter: self.clone(), key }
    }

    pub fn has_predecessors(&self) -> bool {
        !self.facts().predecessors.is_empty()
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A predecessor in the reports.
pub struct Predecessor {
    reporter: Arc<Reporter>,
    key: u64,
}

impl Predecessor {
    pub fn update(&self, status: RouterStatus) {
        let before = self.reporter.facts().predecessors.insert(self.key, status.clone());
        if before.as_ref() != Some(&status) {
            self.reporter.changed.nudge();
        }
    }
}

impl Drop for Predecessor {
    fn drop(&mut self) {
        self.reporter.facts().predecessors.remove(&self.key);
        self.reporter.changed.nudge();
    }
}

/// Two processes of one router as one: a version is confirmed when both route by it, and everything in flight counts.
fn merged(ours: RouterStatus, theirs: &RouterStatus) -> RouterStatus {
    let mut in_flight = ours.in_flight;
    for (instance, count) in &theirs.in_flight {
        let sum = in_flight.entry(instance.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
    let (confirmed, holder) = (ours.confirmed, ours.holder).min((theirs.confirmed, theirs.holder.clone()));
    RouterStatus { router: ours.router, confirmed, holder, in_flight }
}

#[cfg(test)]
mod tests {
    use dinp_common::fence::Fence;
    use dinp_common::instance::InstanceId;
    use dinp_common::name::ClusterId;

    use super::*;

    fn status(version: Option<u64>, in_flight: &[(u64, u32)]) -> RouterStatus {
        RouterStatus {
            router: RouterId::parse("r1").expect("id"),
            confirmed: version.map(|version| TableVersion { epoch: 1, version }),
            holder: version.map(|_| "a".to_owned()),
            in_flight: in_flight.iter().map(|(n, count)| (InstanceId::from_sequence(*n), *count)).collect(),
        }
    }

    #[test]
    fn a_router_and_its_predecessor_are_one() {
        let cases = [
            (status(Some(5), &[]), status(Some(4), &[(1, 2)]), status(Some(4), &[(1, 2)])),
            (status(Some(3), &[(1, 1)]), status(Some(4), &[(1, 2), (2, 1)]), status(Some(3), &[(1, 3), (2, 1)])),
            (status(Some(3), &[]), status(None, &[]), status(None, &[])),
        ];
        for (ours, theirs, expected) in cases {
            assert_eq!(merged(ours, &theirs), expected);
        }
    }

    #[test]
    fn a_predecessor_counts_until_it_is_gone() {
        let flights = Arc::new(Flights::new(Nudge::default()));
        let reporter = Arc::new(Reporter::new(RouterId::parse("r1").expect("id"), flights, Nudge::default()));
        let fence = Fence { cluster: ClusterId::parse("c1").expect("cluster"), epoch: 1, holder: "a".to_owned() };
        reporter.confirm(&TableCert { fence, version: 7, count: 0, hash: String::new() });
        let old = reporter.predecessor(status(Some(6), &[(1, 1)]));
        assert_eq!(reporter.status(), status(Some(6), &[(1, 1)]));
        old.update(status(Some(7), &[(1, 1)]));
        assert_eq!(reporter.status(), status(Some(7), &[(1, 1)]));
        drop(old);
        assert_eq!(reporter.status(), status(Some(7), &[]));
        assert!(!reporter.has_predecessors());
    }
}
