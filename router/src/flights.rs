//! Requests and tunnels in flight per instance, counted over all cores and over successive tables.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dinp_common::instance::InstanceId;
use dinp_common::route::RouteTable;
use dinp_daemon::Nudge;
use tokio::sync::watch;

use crate::eject::EjectionCell;

/// What the router keeps of an instance while it is in the table or has something in flight.
#[derive(Debug)]
pub struct Instance {
    pub id: InstanceId,
    pub ejection: EjectionCell,
    in_flight: AtomicU32,
    /// Whether the table no longer has it.
    left: watch::Sender<bool>,
    report: Nudge,
}

impl Instance {
    /// Counts one request or tunnel until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> Flight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Flight(self.clone())
    }

    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Follows whether the instance has left the table.
    pub fn left(&self) -> watch::Receiver<bool> {
        self.left.subscribe()
    }
}

/// One request or tunnel in flight.
#[derive(Debug)]
pub struct Flight(Arc<Instance>);

impl Flight {
    pub fn instance(&self) -> &Arc<Instance> {
        &self.0
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // The last one of an instance that left is what a drain waits for, so it is reported at once.
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 && *self.0.left.borrow() {
            self.0.report.nudge();
        }
    }
}

/// Every instance the router has to do with.
#[derive(Debug)]
pub struct Flights {
    instances: Mutex<BTreeMap<InstanceId, Arc<Instance>>>,
    report: Nudge,
}

impl Flights {
    /// `report` is nudged when an instance that left the table has nothing in flight any more.
    pub fn new(report: Nudge) -> Self {
        Self { instances: Mutex::default(), report }
    }

    /// Makes the instances those of `table`, keeping the counters of all that stay or still have something in flight,
    /// and returns them.
    pub fn follow(&self, table: &RouteTable) -> BTreeMap<InstanceId, Arc<Instance>> {
        let present: BTreeSet<&InstanceId> = table.values().flat_map(|route| &route.endpoints).map(|e| &e.instance).collect();
        let mut instances = self.instances();
        for id in &present {
            if let Some(known) = instances.get(*id) {
                known.left.send_if_modified(|left| std::mem::replace(left, false));
            } else {
                instances.insert((*id).clone(), Arc::new(self.instance(id)));
            }
        }
        instances.retain(|id, instance| {
            let stays = present.contains(id);
            if !stays {
                instance.left.send_if_modified(|left| !std::mem::replace(left, true));
            }
            // A core may still hold the instance and count on it, as long as the previous table lives.
            stays || instance.in_flight() > 0 || Arc::strong_count(instance) > 1
        });
        present.into_iter().filter_map(|id| instances.get_key_value(id)).map(|(id, i)| (id.clone(), i.clone())).collect()
    }

    /// What is in flight, without the zeros.
    pub fn in_flight(&self) -> BTreeMap<InstanceId, u32> {
        let counted = self.instances().iter().map(|(id, instance)| (id.clone(), instance.in_flight())).collect::<Vec<_>>();
        counted.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    fn instance(&self, id: &InstanceId) -> Instance {
        Instance {
            id: id.clone(),
            ejection: EjectionCell::default(),
            in_flight: AtomicU32::new(0),
            left: watch::Sender::new(false),
            report: self.report.clone(),
        }
    }

    fn instances(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Arc<Instance>>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookup::tests::table;

    #[tokio::test]
    async fn an_instance_that_left_is_counted_until_its_last_request_ends() {
        let nudge = Nudge::default();
        let flights = Flights::new(nudge.clone());
        let first = flights.follow(&table(&[("x", &[1, 2])]));
        let one = first[&InstanceId::from_sequence(1)].clone();
        let (a, b) = (one.begin(), one.begin());
        assert_eq!(flights.in_flight(), BTreeMap::from([(one.id.clone(), 2)]));
        drop(first);
        let left = one.left();
        flights.follow(&table(&[("x", &[2])]));
        assert!(*left.borrow());
        drop(a);
        assert_eq!(flights.in_flight(), BTreeMap::from([(one.id.clone(), 1)]));
        drop(b);
        tokio::time::timeout(std::time::Duration::from_secs(1), nudge.nudged()).await.expect("reported at once");
        assert!(flights.in_flight().is_empty());
        flights.follow(&table(&[("x", &[1, 2])]));
        assert!(!*left.borrow(), "it is the same instance when it comes back");
    }
}
