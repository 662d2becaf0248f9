//! What `/metrics` tells of the leader's passes.

use std::time::Instant;

use dinp_store::StoreError;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// The handles; made after the registry, or they count nothing.
pub struct Meter {
    leading: Gauge,
    seconds: Histogram,
    failures: Counter,
}

impl Meter {
    pub fn new() -> Self {
        Self {
            leading: gauge!("dinp_server_leading"),
            seconds: histogram!("dinp_reconcile_seconds"),
            failures: counter!("dinp_reconcile_failures_total"),
        }
    }

    /// Counts a pass that began at `began`; how long it took is told of a leader's only.
    pub fn pass<T>(&self, began: Instant, outcome: &Result<T, StoreError>, leading: bool) {
        if leading {
            self.seconds.record(began.elapsed());
        }
        self.leading.set(f64::from(u8::from(leading)));
        if outcome.is_err() {
            self.failures.increment(1);
        }
    }
}
