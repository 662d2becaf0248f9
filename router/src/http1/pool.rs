//! A core's unused connections to endpoints, by instance: never by address, which another instance may get.

use std::collections::HashMap;

use dinp_common::instance::InstanceId;
use hyper::client::conn::http1::SendRequest;

use crate::clock::now_ms;
use crate::limits::{POOL_IDLE_MS, POOL_SIZE};
use crate::lookup::Snapshot;

use super::body::RequestBody;

#[derive(Default)]
pub struct Pool(HashMap<InstanceId, Vec<Unused>>);

struct Unused {
    sender: SendRequest<RequestBody>,
    since_ms: u64,
}

impl Pool {
    /// The connection used last, if it is open and has not been idle for longer than `within_ms`.
    pub fn take(&mut self, instance: &InstanceId, within_ms: u64) -> Option<SendRequest<RequestBody>> {
        let unused = self.0.get_mut(instance)?;
        unused.retain(|connection| !connection.sender.is_closed());
        let earliest = now_ms().saturating_sub(within_ms);
        let index = unused.iter().rposition(|connection| connection.sender.is_ready() && connection.since_ms >= earliest)?;
        Some(unused.remove(index).sender)
    }

    /// Keeps a connection whose response is complete. It may need a moment until it is ready again.
    pub fn put(&mut self, instance: &InstanceId, sender: SendRequest<RequestBody>) {
        if sender.is_closed() {
            return;
        }
        let since_ms = now_ms();
        match self.0.get_mut(instance) {
            Some(unused) if unused.len() < POOL_SIZE => unused.push(Unused { sender, since_ms }),
            Some(_) => {}
            None => drop(self.0.insert(instance.clone(), vec![Unused { sender, since_ms }])),
        }
    }

    /// Drops connections that are closed, were idle for too long, or lead to instances that left the table.
    pub fn prune(&mut self, now_ms: u64, snapshot: &Snapshot) {
        self.0.retain(|instance, unused| {
            unused.retain(|connection| !connection.sender.is_closed() && now_ms < connection.since_ms + POOL_IDLE_MS);
            !unused.is_empty() && snapshot.has(instance)
        });
    }
}
