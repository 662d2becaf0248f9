//! Waiting for a condition, never for a time.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until `done` accepts what `look` sees, and returns it; panics with the last state after `deadline`.
pub async fn until<T: Debug>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> T, done: impl Fn(&T) -> bool) -> T {
    let begun = Instant::now();
    loop {
        let seen = look().await;
        if done(&seen) {
            return seen;
        }
        assert!(begun.elapsed() < deadline, "not within {deadline:?}: {what}; last seen: {seen:#?}");
        tokio::time::sleep(LOOK).await;
    }
}
