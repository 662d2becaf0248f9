//! Who may lead: a counter in the store, compared on each server's own monotonic clock.
//!
//! The holder raises the counter; a challenger that sees it unchanged for the whole TTL takes the lease. The holder
//! stops acting a margin before the TTL since it *sent* its last successful renewal, so it is idle before anybody
//! else can lead, whatever the clocks say.

use dinp_common::fence::{Fence, LeaseRow};

/// Milliseconds without a renewal after which a challenger may take the lease.
pub const TTL_MS: u64 = 2_000;
/// The holder renews this often.
pub const RENEW_EVERY_MS: u64 = 500;
/// The holder stops acting this long before its TTL ends.
pub const MARGIN_MS: u64 = 500;

/// One server's view of the lease. All times are its own elapsed milliseconds since it started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
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
    /// Take the lease from this row, compare-and-set.
    Take(LeaseRow),
    Renew(Fence),
}

impl Lease {
    pub fn new() -> Self {
        Self::Following { seen: None, since_ms: 0 }
    }

    /// What to do at `now_ms`, having read `row`. `sole` says that no other server can be alive (the state directory
    /// is locked by this process), so that a restart need not wait for its own dead predecessor.
    pub fn step(&mut self, row: &LeaseRow, now_ms: u64, sole: bool) -> LeaseStep {
        match self {
            Self::Leading { fence, renewed_ms } => {
                if row.epoch != fence.epoch || row.holder != fence.holder {
                    *self = Self::Following { seen: Some(row.clone()), since_ms: now_ms };
                    return LeaseStep::Wait;
                }
                if now_ms.saturating_sub(*renewed_ms) >= RENEW_EVERY_MS {
                    LeaseStep::Renew(fence.clone())
                } else {
                    LeaseStep::Wait
                }
            }
            Self::Following { seen, since_ms } => {
                if seen.as_ref() != Some(row) {
                    *seen = Some(row.clone());
                    *since_ms = now_ms;
                }
                if sole || row.is_released() || now_ms.saturating_sub(*since_ms) >= TTL_MS {
                    LeaseStep::Take(row.clone())
                } else {
                    LeaseStep::Wait
                }
            }
        }
    }

    /// The lease was taken by a statement sent at `sent_ms`.
    pub fn taken(&mut self, fence: Fence, sent_ms: u64) {
        *self = Self::Leading { fence, renewed_ms: sent_ms };
    }

    /// A renewal sent at `sent_ms` succeeded, or found another holder.
    pub fn renewed(&mut self, held: bool, sent_ms: u64) {
        match self {
            Self::Leading { renewed_ms, .. } if held => *renewed_ms = sent_ms,
            Self::Leading { .. } => *self = Self::Following { seen: None, since_ms: sent_ms },
            Self::Following { .. } => {}
        }
    }

    /// The fence to act with at `now_ms`; `None` when this server must not act.
    pub fn acting(&self, now_ms: u64) -> Option<&Fence> {
        match self {
            Self::Leading { fence, renewed_ms } if now_ms.saturating_sub(*renewed_ms) < TTL_MS - MARGIN_MS => Some(fence),
            Self::Leading { .. } | Self::Following { .. } => None,
        }
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinp_common::name::ClusterId;

    fn row(epoch: u64, holder: &str, counter: u64) -> LeaseRow {
        LeaseRow { epoch, holder: holder.into(), counter }
    }

    fn fence(epoch: u64, holder: &str) -> Fence {
        Fence { cluster: ClusterId::parse("c").expect("cluster"), epoch, holder: holder.into() }
    }

    #[test]
    fn a_challenger_waits_the_whole_ttl_of_an_unchanged_counter() {
        let mut lease = Lease::new();
        assert_eq!(lease.step(&row(1, "a", 1), 0, false), LeaseStep::Wait);
        assert_eq!(lease.step(&row(1, "a", 1), TTL_MS - 1, false), LeaseStep::Wait);
        assert_eq!(lease.step(&row(1, "a", 2), TTL_MS, false), LeaseStep::Wait, "the holder lives");
        assert_eq!(lease.step(&row(1, "a", 2), 2 * TTL_MS, false), LeaseStep::Take(row(1, "a", 2)));
    }

    #[test]
    fn a_sole_server_and_a_released_lease_need_no_wait() {
        assert_eq!(Lease::new().step(&row(1, "a", 1), 0, true), LeaseStep::Take(row(1, "a", 1)));
        let released = row(1, "a", LeaseRow::RELEASED);
        assert_eq!(Lease::new().step(&released, 0, false), LeaseStep::Take(released));
    }

    #[test]
    fn a_holder_stops_acting_before_anyone_can_take_over() {
        let mut lease = Lease::new();
        lease.taken(fence(2, "b"), 100);
        assert!(lease.acting(100 + TTL_MS - MARGIN_MS - 1).is_some());
        assert!(lease.acting(100 + TTL_MS - MARGIN_MS).is_none());
        lease.renewed(true, 2_000);
        assert!(lease.acting(2_100).is_some());
        assert_eq!(lease.step(&row(3, "c", 0), 2_200, false), LeaseStep::Wait);
        assert!(lease.acting(2_200).is_none(), "another epoch ends it at once");
    }
}
