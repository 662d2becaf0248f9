//! Passive ejection: an endpoint that did not accept a connection is avoided for a while, longer each time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Milliseconds after the first failed connect.
const FIRST_MS: u64 = 500;
/// Milliseconds at most: a crashed container that comes back waits no longer than this for traffic.
const LONGEST_MS: u64 = 10_000;

/// How often connecting failed in a row, and until when the endpoint is avoided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ejection {
    failures: u8,
    until_ms: u64,
}

impl Ejection {
    /// After a failed connect at `now_ms`. Failures of requests that were sent side by side count once.
    pub fn failed(self, now_ms: u64) -> Self {
        if self.is_active(now_ms) {
            return self;
        }
        let pause = (FIRST_MS << self.failures.min(8)).min(LONGEST_MS);
        Self { failures: self.failures.saturating_add(1), until_ms: now_ms + pause }
    }

    pub fn is_active(self, now_ms: u64) -> bool {
        now_ms < self.until_ms
    }
}

/// An [`Ejection`] that all cores share without a lock.
#[derive(Debug, Default)]
pub struct EjectionCell(AtomicU64);

/// Bits of the time; the failures have the rest. 2^56 milliseconds outlive the machine.
const TIME_BITS: u32 = 56;

impl EjectionCell {
    pub fn get(&self) -> Ejection {
        let bits = self.0.load(Ordering::Relaxed);
        Ejection { failures: (bits >> TIME_BITS) as u8, until_ms: bits & ((1 << TIME_BITS) - 1) }
    }

    /// Whether this failure begins an ejection. Two cores that fail at once may both say so, which only counts twice.
    pub fn failed(&self, now_ms: u64) -> bool {
        let before = self.get();
        let after = before.failed(now_ms);
        self.0.store(u64::from(after.failures) << TIME_BITS | after.until_ms, Ordering::Relaxed);
        before != after
    }

    pub fn succeeded(&self) {
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_success_clears_them() {
        let cell = EjectionCell::default();
        let mut now = 1_000;
        for pause in [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000] {
            assert!(cell.failed(now));
            assert!(!cell.failed(now + pause - 1), "failures within one pause count once");
            assert!(cell.get().is_active(now + pause - 1) && !cell.get().is_active(now + pause));
            now += pause;
        }
        cell.succeeded();
        assert_eq!(cell.get(), Ejection::default());
    }
}
