//! The wall clock, for people and for tokens. No decision reads it.

use jiff::{SignedDuration, Timestamp};

/// RFC 3339, to the millisecond.
pub fn now() -> String {
    format!("{:.3}", Timestamp::now())
}

/// `now` and a while.
pub fn after(duration: std::time::Duration) -> String {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    Timestamp::now().checked_add(duration).map_or_else(|_| format!("{:.3}", Timestamp::MAX), |at| format!("{at:.3}"))
}
