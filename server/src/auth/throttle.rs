//! A brake on callers that keep presenting tokens nobody gave them.
//!
//! A token has 256 random bits, so guessing is hopeless; what is spared is the database, which every guess would ask.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failures one peer may have at once.
const BURST: u32 = 20;
/// Time after which one of them is forgiven.
const FORGIVE: Duration = Duration::from_secs(3);
/// Peers remembered; the one whose last failure is oldest is forgotten first.
const PEERS: usize = 1_024;
/// Tokens remembered as good, so that nobody is locked out by a neighbour behind the same address.
const GOOD: usize = 256;

#[derive(Debug, Default)]
pub struct Throttle(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    peers: BTreeMap<Option<IpAddr>, Peer>,
    good: VecDeque<String>,
}

#[derive(Debug)]
struct Peer {
    failures: u32,
    since: Instant,
}

impl Throttle {
    /// Whether a token may be looked up for this peer. `hash` is the token's.
    pub fn admits(&self, peer: Option<IpAddr>, hash: &str, now: Instant) -> bool {
        let mut inner = self.inner();
        let Some(record) = inner.peers.get_mut(&peer) else { return true };
        let forgiven = (now.duration_since(record.since).as_millis() / FORGIVE.as_millis()) as u32;
        if forgiven > 0 {
            record.failures = record.failures.saturating_sub(forgiven);
            record.since += FORGIVE * forgiven;
        }
        let braked = record.failures >= BURST;
        !braked || inner.good.iter().any(|good| good == hash)
    }

    pub fn failed(&self, peer: Option<IpAddr>, now: Instant) {
        let mut inner = self.inner();
        if inner.peers.len() >= PEERS && !inner.peers.contains_key(&peer) {
            let oldest = inner.peers.iter().min_by_key(|(_, record)| record.since).map(|(peer, _)| *peer);
            oldest.and_then(|oldest| inner.peers.remove(&oldest));
        }
        let record = inner.peers.entry(peer).or_insert(Peer { failures: 0, since: now });
        record.failures = record.failures.saturating_add(1).min(BURST);
    }

    pub fn succeeded(&self, hash: &str) {
        let mut inner = self.inner();
        if inner.good.iter().any(|good| good == hash) {
            return;
        }
        if inner.good.len() >= GOOD {
            inner.good.pop_front();
        }
        inner.good.push_back(hash.to_owned());
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_brake_their_peer_and_time_forgives() {
        let throttle = Throttle::default();
        let (bad, other) = (Some(IpAddr::from([10, 0, 0, 1])), Some(IpAddr::from([10, 0, 0, 2])));
        let start = Instant::now();
        throttle.succeeded("mine");
        for _ in 0..BURST {
            assert!(throttle.admits(bad, "guess", start));
            throttle.failed(bad, start);
        }
        assert!(!throttle.admits(bad, "guess", start));
        assert!(throttle.admits(bad, "mine", start), "a good token behind the same address still works");
        assert!(throttle.admits(other, "guess", start));
        assert!(throttle.admits(bad, "guess", start + FORGIVE));
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for n in 0..(PEERS as u32 + 50) {
            throttle.failed(Some(IpAddr::from(n.to_be_bytes())), now);
        }
        assert_eq!(throttle.inner().peers.len(), PEERS);
        for n in 0..GOOD + 50 {
            throttle.succeeded(&n.to_string());
        }
        assert_eq!(throttle.inner().good.len(), GOOD);
    }
}
