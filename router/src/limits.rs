//! The router's bounds, each with its unit and reason, and when a client's connection has overstepped one.

/// Bytes of a request's or response's head. Larger: 431.
pub const HEAD_BYTES: usize = 32 * 1024;
/// Fields in a head. More: 431.
pub const HEAD_FIELDS: usize = 100;
/// Client connections per process: bounds memory under a flood. Also kept below half of the process's file limit.
pub const CONNECTIONS: usize = 20_000;
/// Client sockets the kernel queues per listener while a core is busy.
pub const BACKLOG: i32 = 4_096;
/// Cores at most: all listeners, for two addresses each, fit one message of passed descriptors (the kernel allows 253).
pub const CORES: usize = 64;
/// Milliseconds for a connection to an endpoint, which is at most a data centre away, while another one is left to try.
pub const CONNECT_MS: u64 = 1_000;
/// The same to the last one that is left: a first packet that is lost is sent again after a second, and after three.
pub const CONNECT_LAST_MS: u64 = 3_500;
/// Milliseconds until the first byte of an answer. Long polls live below this.
pub const ANSWER_MS: u64 = 300_000;
/// Milliseconds a pooled connection to an endpoint stays open unused.
pub const POOL_IDLE_MS: u64 = 15_000;
/// Unused connections kept per endpoint and core.
pub const POOL_SIZE: usize = 64;
/// Milliseconds between two looks at a core's connections; the grain of the limits below.
pub const SWEEP_MS: u64 = 500;
/// Milliseconds before the end of a drain at which WebSockets are closed, so that the close handshake fits.
pub const CLOSE_MARGIN_MS: u64 = 2_000;
/// Milliseconds one direction of an upgraded connection may go on after the other has ended.
pub const HALF_CLOSED_MS: u64 = 10_000;
/// Milliseconds a WebSocket frame may take to end, once its tunnel is to be closed.
pub const FRAME_END_MS: u64 = 1_000;

/// What a client's connection is held to, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From a head's first byte to its last.
    pub head: u64,
    /// Between two requests, or before the first.
    pub idle: u64,
    /// Without a byte of a request's body arriving, or of a response's leaving.
    pub stall: u64,
    /// Between requests, once the router drains: long enough for a client's next request, which is answered with
    /// `Connection: close`; closing at once would cross with that request.
    pub idle_draining: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: 10_000, idle: 75_000, stall: 60_000, idle_draining: 2_000 }
    }
}

/// What a client's connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Idle,
    Head,
    Busy,
}

/// A connection's state as a look at it finds it. Times are the process's milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Activity {
    pub phase: Phase,
    pub since_ms: u64,
    /// Since when a read of the body or a write of the response waits for the client.
    pub stalled_since_ms: Option<u64>,
}

impl Patience {
    /// Whether the connection is to be closed at `now_ms`. `draining_since_ms` is set while the router drains.
    pub fn is_over(&self, activity: Activity, draining_since_ms: Option<u64>, now_ms: u64) -> bool {
        let for_ms = |since: u64| now_ms.saturating_sub(since);
        if let Some(since) = activity.stalled_since_ms {
            // Also after a request: the end of its answer may still be on its way to a slow client.
            return for_ms(since) >= self.stall;
        }
        match activity.phase {
            Phase::Head => for_ms(activity.since_ms) >= self.head,
            Phase::Busy => false,
            Phase::Idle => {
                let drained = draining_since_ms.is_some_and(|since| for_ms(since.max(activity.since_ms)) >= self.idle_draining);
                drained || for_ms(activity.since_ms) >= self.idle
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_closed_exactly_when_a_limit_is_reached() {
        let patience = Patience { head: 10, idle: 75, stall: 60, idle_draining: 2 };
        let at = |phase, stalled_since_ms| Activity { phase, since_ms: 100, stalled_since_ms };
        let cases = [
            (at(Phase::Head, None), None, 109, false),
            (at(Phase::Head, None), None, 110, true),
            (at(Phase::Idle, None), None, 174, false),
            (at(Phase::Idle, None), None, 175, true),
            (at(Phase::Idle, None), Some(120), 121, false),
            (at(Phase::Idle, None), Some(120), 122, true),
            (at(Phase::Idle, None), Some(50), 101, false),
            (at(Phase::Idle, Some(120)), Some(120), 179, false),
            (at(Phase::Idle, Some(120)), Some(120), 180, true),
            (at(Phase::Busy, None), Some(0), 1_000_000, false),
            (at(Phase::Busy, Some(200)), None, 259, false),
            (at(Phase::Busy, Some(200)), None, 260, true),
        ];
        for (activity, draining, now, expected) in cases {
            assert_eq!(patience.is_over(activity, draining, now), expected, "{activity:?} draining {draining:?} at {now}");
        }
    }
}
