//! The time of day, written beside records for people. No decision reads it.

/// Now, RFC 3339 in UTC with milliseconds.
pub(crate) fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}
