//! What one node has said of its instances, and in one number which of them are healthy: a pass over much that is well
//! compares a number a node, not a report an instance.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use dinp_common::health::Health;
use dinp_common::instance::{InstanceId, Seen};
use dinp_common::wire::InstanceReport;

use crate::mix::Mix;

/// Reports by instance. A copy shares them until one of the two changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reported {
    by_id: Arc<BTreeMap<InstanceId, InstanceReport>>,
    healthy: Healthy,
}

/// A set of instances, each at an address, as the sum of its members' hashes. Two sets that differ are taken for the same
/// once in 2^64 times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Healthy(u64);

impl Healthy {
    pub fn add(&mut self, instance: &InstanceId, at: SocketAddr) {
        self.0 = self.0.wrapping_add(Self::member(instance, at));
    }

    fn remove(&mut self, instance: &InstanceId, at: SocketAddr) {
        self.0 = self.0.wrapping_sub(Self::member(instance, at));
    }

    fn member(instance: &InstanceId, at: SocketAddr) -> u64 {
        let mut hash = Mix::default();
        (instance, at).hash(&mut hash);
        hash.finish()
    }
}

/// Where it answers, if it is healthy.
pub(crate) fn healthy_at(report: &InstanceReport) -> Option<SocketAddr> {
    match report.seen {
        Seen::Running { address, health: Health::Healthy } => Some(address),
        Seen::Running { health: Health::Unproven { .. } | Health::Unhealthy { .. }, .. }
        | Seen::Pending { .. }
        | Seen::Exited { .. }
        | Seen::Failed { .. }
        | Seen::Stopping
        | Seen::Gone => None,
    }
}

impl Reported {
    pub fn insert(&mut self, id: InstanceId, report: InstanceReport) {
        if let Some(at) = self.by_id.get(&id).and_then(healthy_at) {
            self.healthy.remove(&id, at);
        }
        if let Some(at) = healthy_at(&report) {
            self.healthy.add(&id, at);
        }
        Arc::make_mut(&mut self.by_id).insert(id, report);
    }

    /// Those that are healthy.
    pub(crate) fn healthy(&self) -> Healthy {
        self.healthy
    }
}

impl From<BTreeMap<InstanceId, InstanceReport>> for Reported {
    fn from(by_id: BTreeMap<InstanceId, InstanceReport>) -> Self {
        let mut healthy = Healthy::default();
        for (id, report) in &by_id {
            healthy_at(report).into_iter().for_each(|at| healthy.add(id, at));
        }
        Self { by_id: Arc::new(by_id), healthy }
    }
}

impl FromIterator<(InstanceId, InstanceReport)> for Reported {
    fn from_iter<T: IntoIterator<Item = (InstanceId, InstanceReport)>>(reports: T) -> Self {
        reports.into_iter().collect::<BTreeMap<_, _>>().into()
    }
}

/// They are read as a map is, and changed only by what keeps the number true.
impl Deref for Reported {
    type Target = BTreeMap<InstanceId, InstanceReport>;

    fn deref(&self) -> &Self::Target {
        &self.by_id
    }
}

#[cfg(test)]
mod tests {
    use dinp_common::name::AppName;
    use dinp_common::release::ReleaseNo;

    use super::*;

    fn report(seen: Seen) -> InstanceReport {
        let app = AppName::parse("shop").expect("name");
        InstanceReport { app, release: ReleaseNo(1), seen, listening: Vec::new(), restarts: 0 }
    }

    fn healthy(address: &str) -> InstanceReport {
        report(Seen::Running { address: address.parse().expect("address"), health: Health::Healthy })
    }

    #[test]
    fn the_number_is_that_of_who_is_healthy_and_where_however_it_came_about() {
        let [one, two] = [1, 2].map(InstanceId::from_sequence);
        let whole: Reported =
            [(one.clone(), healthy("10.0.0.1:80")), (two.clone(), healthy("10.0.0.2:80"))].into_iter().collect();
        let mut bit_by_bit = Reported::default();
        bit_by_bit.insert(two.clone(), healthy("10.0.0.9:80"));
        bit_by_bit.insert(one.clone(), healthy("10.0.0.1:80"));
        assert_ne!(bit_by_bit.healthy(), whole.healthy(), "one is elsewhere");
        let before = bit_by_bit.clone();
        bit_by_bit.insert(two.clone(), healthy("10.0.0.2:80"));
        assert_eq!(bit_by_bit, whole);
        assert_ne!(before.healthy(), whole.healthy(), "a copy stays what it was");
        bit_by_bit.insert(two.clone(), report(Seen::Stopping));
        let alone: Reported = [(one.clone(), healthy("10.0.0.1:80"))].into_iter().collect();
        assert_eq!((bit_by_bit.healthy(), bit_by_bit.len()), (alone.healthy(), 2));
        let swapped: Reported = [(one, healthy("10.0.0.2:80")), (two, healthy("10.0.0.1:80"))].into_iter().collect();
        assert_ne!(swapped.healthy(), whole.healthy());
    }
}
