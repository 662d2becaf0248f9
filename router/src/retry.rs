//! What may be sent again after a failure, and where.

use http::Method;

/// Milliseconds in which a request looks for an endpoint that accepts it, over all attempts.
pub const ATTEMPTS_MS: u64 = 10_000;
/// Milliseconds a pooled connection may have been idle to carry a request that cannot be sent twice: shorter than any
/// server's own keep-alive timeout, so that the two do not cross.
pub const UNREPLAYABLE_IDLE_MS: u64 = 1_000;

/// What went wrong with one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection came about: nothing of the request has left.
    Connect { timed_out: bool },
    /// The connection ended before the first byte of a response.
    Died { reused: bool, unsent: bool },
    /// The endpoint has the request and did not answer in time.
    NoAnswer,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next endpoint, with the body untouched.
    OtherEndpoint,
    /// Any endpoint, this one included, over a new connection.
    FreshConnection,
    GiveUp(GiveUp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// Nobody accepted the request.
    Unreachable {
        timed_out: bool,
    },
    /// It may have been carried out, and must not be sent twice.
    Broken,
    TimedOut,
}

/// Whether a request can be sent twice without harm: an idempotent method (RFC 9110 section 9.2.2) and no body.
pub fn replayable(method: &Method, has_body: bool) -> bool {
    !has_body && matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE)
}

/// How long a pooled connection may have been idle to be used for this request.
pub fn reuse_within_ms(replayable: bool, pool_idle_ms: u64) -> u64 {
    if replayable { pool_idle_ms } else { UNREPLAYABLE_IDLE_MS.min(pool_idle_ms) }
}

/// The rule after a failed attempt, `elapsed_ms` after the request arrived.
pub fn after(failure: Failure, replayable: bool, elapsed_ms: u64) -> Next {
    if elapsed_ms >= ATTEMPTS_MS {
        return Next::GiveUp(match failure {
            Failure::Connect { timed_out } => GiveUp::Unreachable { timed_out },
            Failure::Died { .. } => GiveUp::Broken,
            Failure::NoAnswer => GiveUp::TimedOut,
        });
    }
    match failure {
        Failure::Connect { .. } => Next::OtherEndpoint,
        Failure::Died { reused: true, unsent } if unsent || replayable => Next::FreshConnection,
        Failure::Died { reused: false, unsent: true } => Next::OtherEndpoint,
        Failure::Died { .. } => Next::GiveUp(GiveUp::Broken),
        Failure::NoAnswer => Next::GiveUp(GiveUp::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_twice_that_may_have_been_carried_out() {
        let died = |reused, unsent| Failure::Died { reused, unsent };
        let refused = Failure::Connect { timed_out: false };
        let cases = [
            (refused, true, 0, Next::OtherEndpoint),
            (refused, false, 0, Next::OtherEndpoint),
            (died(true, true), false, 0, Next::FreshConnection),
            (died(true, false), true, 0, Next::FreshConnection),
            (died(true, false), false, 0, Next::GiveUp(GiveUp::Broken)),
            (died(false, true), false, 0, Next::OtherEndpoint),
            (died(false, false), true, 0, Next::GiveUp(GiveUp::Broken)),
            (Failure::NoAnswer, true, 0, Next::GiveUp(GiveUp::TimedOut)),
            (refused, true, ATTEMPTS_MS, Next::GiveUp(GiveUp::Unreachable { timed_out: false })),
            (died(true, true), true, ATTEMPTS_MS, Next::GiveUp(GiveUp::Broken)),
        ];
        for (failure, replayable, elapsed, expected) in cases {
            assert_eq!(after(failure, replayable, elapsed), expected, "{failure:?} replayable={replayable} at {elapsed}");
        }
    }

    #[test]
    fn only_idempotent_requests_without_a_body_replay() {
        assert!(replayable(&Method::GET, false) && replayable(&Method::DELETE, false));
        assert!(!replayable(&Method::GET, true) && !replayable(&Method::POST, false) && !replayable(&Method::PATCH, false));
        assert_eq!(reuse_within_ms(true, 15_000), 15_000);
        assert_eq!(reuse_within_ms(false, 15_000), UNREPLAYABLE_IDLE_MS);
    }
}
