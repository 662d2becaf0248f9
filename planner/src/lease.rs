//! Who may lead: a counter in the store, compared on each server's own monotonic clock.
//!
//! The holder raises the counter; a challenger that sees it unchanged for the whole TTL takes the lease. The holder
//! stops acting a margin before the TTL since it *sent* its last successful renewal, so it is idle before anybody
//! else can lead, as long as two clocks drift apart by less than the margin within a TTL. Beyond that, fences hold.

use dinp_common::fence::{Fence, LeaseRow};

/// The times of a lease, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// Without a renewal for this long, a challenger may take the lease.
    pub ttl_ms: u64,
    /// The holder renews this often.
    pub renew_every_ms: u64,
    /// The holder stops acting this long before its TTL ends; by how much two clocks may drift apart within one TTL.
    pub margin_ms: u64,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { ttl_ms: 2_000, renew_every_ms: 500, margin_ms: 500 }
    }
}

/// One server's view of the lease. All times are its own elapsed milliseconds since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    times: LeaseTimes,
    role: Role,
    /// The highest epoch this server has held. A store that lost its last writes must not grant it a second time.
    held: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Watching: the row last seen, and since when it has not changed.
    Following { seen: Option<LeaseRow>, since_ms: u64 },
    /// Leading: when the last successful renewal was sent.
    Leading { fence: Fence, renewed_ms: u64 },
}

/// What to do next with the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseStep {
    /// Nothing before the next look.
    Wait,
    /// Take the lease from this row, compare-and-set, with an epoch of at least `at_least`.
    Take {
        row: LeaseRow,
        at_least: u64,
    },
    Renew(Fence),
}

impl Lease {
    pub fn new(times: LeaseTimes) -> Self {
        Self { times, role: Role::Following { seen: None, since_ms: 0 }, held: 0 }
    }

    pub fn role(&self) -> &Role {
        &self.role
    }

    /// The highest epoch this server has held.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// What to do at `now_ms`, having read `row`. `highest` is the highest epoch of anybody who refuses this server.
    /// `sole` says that no other server can be alive (the state directory is locked by this process), so that a restart
    /// need not wait for its own dead predecessor.
    pub fn step(&mut self, row: &LeaseRow, now_ms: u64, highest: u64, sole: bool) -> LeaseStep {
        let take = |row: &LeaseRow, held: u64| LeaseStep::Take { row: row.clone(), at_least: highest.max(held) + 1 };
        match &mut self.role {
            Role::Leading { fence, renewed_ms } => {
                if row.epoch != fence.epoch || row.holder != fence.holder {
                    self.role = Role::Following { seen: Some(row.clone()), since_ms: now_ms };
                    LeaseStep::Wait
                } else if fence.epoch <= highest {
                    // Also by its equal: after a restored backup, receivers know the same epoch as another holder's.
                    take(row, self.held)
                } else if now_ms.saturating_sub(*renewed_ms) >= self.times.renew_every_ms {
                    LeaseStep::Renew(fence.clone())
                } else {
                    LeaseStep::Wait
                }
            }
            Role::Following { seen, since_ms } => {
                if seen.as_ref() != Some(row) {
                    *seen = Some(row.clone());
                    *since_ms = now_ms;
                }
                if sole || row.is_released() || now_ms.saturating_sub(*since_ms) >= self.times.ttl_ms {
                    take(row, self.held)
                } else {
                    LeaseStep::Wait
                }
            }
        }
    }

    /// The lease was taken by a statement sent at `sent_ms`.
    pub fn taken(&mut self, fence: Fence, sent_ms: u64) {
        self.held = self.held.max(fence.epoch);
        self.role = Role::Leading { fence, renewed_ms: sent_ms };
    }

    /// A renewal sent at `sent_ms` succeeded, or found another holder.
    pub fn renewed(&mut self, held: bool, sent_ms: u64) {
        match &mut self.role {
            Role::Leading { renewed_ms, .. } if held => *renewed_ms = sent_ms,
            Role::Leading { .. } => self.role = Role::Following { seen: None, since_ms: sent_ms },
            Role::Following { .. } => {}
        }
    }

    /// Stops acting for good. Answers the fence to release in the store, which frees the lease for the next at once.
    pub fn give_up(&mut self, now_ms: u64) -> Option<Fence> {
        let fence = self.acting(now_ms).cloned();
        self.role = Role::Following { seen: None, since_ms: now_ms };
        fence
    }

    /// The fence to act with at `now_ms`; `None` when this server must not act.
    pub fn acting(&self, now_ms: u64) -> Option<&Fence> {
        let acts_ms = self.times.ttl_ms.saturating_sub(self.times.margin_ms);
        match &self.role {
            Role::Leading { fence, renewed_ms } if now_ms.saturating_sub(*renewed_ms) < acts_ms => Some(fence),
            Role::Leading { .. } | Role::Following { .. } => None,
        }
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self::new(LeaseTimes::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinp_common::name::ClusterId;

    const TTL_MS: u64 = 2_000;
    const ACTS_MS: u64 = 1_500;

    fn row(epoch: u64, holder: &str, counter: u64) -> LeaseRow {
        LeaseRow { epoch, holder: holder.into(), counter }
    }

    fn fence(epoch: u64, holder: &str) -> Fence {
        Fence { cluster: ClusterId::parse("c").expect("cluster"), epoch, holder: holder.into() }
    }

    fn take(row: LeaseRow, at_least: u64) -> LeaseStep {
        LeaseStep::Take { row, at_least }
    }

    #[test]
    fn a_challenger_waits_the_whole_ttl_of_an_unchanged_counter() {
        let mut lease = Lease::default();
        assert_eq!(lease.step(&row(1, "a", 1), 0, 0, false), LeaseStep::Wait);
        assert_eq!(lease.step(&row(1, "a", 1), TTL_MS - 1, 0, false), LeaseStep::Wait);
        assert_eq!(lease.step(&row(1, "a", 2), TTL_MS, 0, false), LeaseStep::Wait, "the holder lives");
        assert_eq!(lease.step(&row(1, "a", 2), 2 * TTL_MS, 0, false), take(row(1, "a", 2), 1));
    }

    #[test]
    fn a_sole_server_and_a_released_lease_need_no_wait() {
        assert_eq!(Lease::default().step(&row(1, "a", 1), 0, 0, true), take(row(1, "a", 1), 1));
        let released = row(1, "a", LeaseRow::RELEASED);
        assert_eq!(Lease::default().step(&released, 0, 0, false), take(released, 1));
    }

    #[test]
    fn a_holder_stops_acting_before_anyone_can_take_over() {
        let mut lease = Lease::default();
        lease.taken(fence(2, "b"), 100);
        assert!(lease.acting(100 + ACTS_MS - 1).is_some());
        assert!(lease.acting(100 + ACTS_MS).is_none());
        lease.renewed(true, 2_000);
        assert!(lease.acting(2_100).is_some());
        assert_eq!(lease.step(&row(3, "c", 0), 2_200, 0, false), LeaseStep::Wait);
        assert!(lease.acting(2_200).is_none(), "another epoch ends it at once");
    }

    #[test]
    fn a_leader_goes_above_whoever_refuses_it_and_takes_nothing_from_another() {
        let mut lease = Lease::default();
        lease.taken(fence(5, "a"), 0);
        assert_eq!(lease.step(&row(5, "a", 9), 10, 5, false), take(row(5, "a", 9), 6), "refused by its equal");
        // Suspended with its clock, it was overtaken: the refusal it hears comes from the rightful leader's nodes.
        assert_eq!(lease.step(&row(6, "b", 1), 20, 6, false), LeaseStep::Wait);
        assert!(lease.acting(20).is_none());
    }

    #[test]
    fn a_server_never_holds_one_epoch_twice_whatever_the_store_has_lost() {
        let mut lease = Lease::default();
        lease.taken(fence(7, "a"), 0);
        let restored = row(4, "x", 3);
        assert_eq!(lease.step(&restored, 10, 0, false), LeaseStep::Wait);
        assert_eq!(lease.step(&restored, 10 + TTL_MS, 0, false), take(restored, 8));
    }

    #[test]
    fn a_server_that_gives_up_is_idle_before_it_releases() {
        let mut lease = Lease::default();
        lease.taken(fence(2, "b"), 0);
        assert_eq!(lease.give_up(1), Some(fence(2, "b")));
        assert_eq!(lease.acting(1), None);
        assert_eq!(lease.give_up(1), None, "there is nothing to release twice");
    }
}
