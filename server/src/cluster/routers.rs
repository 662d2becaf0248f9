//! Routers and what they have confirmed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dinp_common::name::RouterId;
use dinp_common::route::RouterStatus;
use dinp_planner::observed::RouterSeen;

use super::Cluster;

#[derive(Default)]
pub(super) struct Routers(Mutex<BTreeMap<RouterId, (Instant, RouterStatus)>>);

impl Routers {
    fn map(&self) -> MutexGuard<'_, BTreeMap<RouterId, (Instant, RouterStatus)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self, now: Instant) -> BTreeMap<RouterId, RouterSeen> {
        let view = |(heard, status): &(Instant, RouterStatus)| RouterSeen {
            silent_ms: now.saturating_duration_since(*heard).as_millis() as u64,
            confirmed: status.confirmed,
            holder: status.holder.clone(),
            in_flight: status.in_flight.clone(),
        };
        self.map().iter().map(|(router, seen)| (router.clone(), view(seen))).collect()
    }
}

impl Cluster {
    pub(crate) fn knows_router(&self, router: &RouterId) -> bool {
        self.0.routers.map().contains_key(router)
    }

    /// Takes in what a router said of itself at `heard`.
    pub(crate) fn router_status(&self, status: RouterStatus, heard: Instant) {
        let mut map = self.0.routers.map();
        // Redis tells some things twice, the second time late.
        if map.get(&status.router).is_some_and(|(known, _)| *known > heard) {
            return;
        }
        let old = map.insert(status.router.clone(), (heard, status.clone()));
        drop(map);
        if old.is_none_or(|(_, old)| old != status) {
            self.nudge();
        }
    }

    pub(crate) fn router_gone(&self, router: &RouterId) {
        self.0.routers.map().remove(router);
        self.nudge();
    }
}
