//! One leader acts.

use dinp_common::fence::Fence;

use super::World;
use crate::sim::kernel::{Ms, SECOND};

/// After a fail-over nobody waits for the leader before, and what was read before it is still acted on.
const FAIL_OVER: Ms = 30 * SECOND;

impl World {
    /// The database has lost its tail a moment ago.
    pub(super) fn has_failed_over(&self) -> bool {
        self.watch.tail_lost.is_some_and(|at| at + FAIL_OVER > self.k.now)
    }

    /// A server has taken the lease. Where no clock stands still, nobody else acts by then.
    pub fn watch_lease_taken(&mut self, s: usize, fence: &Fence) {
        let now = self.k.now;
        self.watch.led.insert(s, now);
        if self.k.setting.faults.clocks || self.has_failed_over() {
            return;
        }
        let other = (0..self.servers.len()).find(|other| *other != s && self.servers[*other].acting(now).is_some());
        if let Some(other) = other {
            let what = format!("server{s} takes epoch {} while server{other} acts", fence.epoch);
            self.broken("4 (one leader acts)", what);
        }
    }
}
