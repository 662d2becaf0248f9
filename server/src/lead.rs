//! Holding the lease.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dinp_common::fence::Fence;
use dinp_daemon::beat;
use dinp_planner::lease::{Lease, LeaseStep};
use dinp_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;

/// How often the lease is looked at; well below the time after which it must be renewed.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The same where nobody else can take it: a third of the time for which it counts as held.
const SOLE_LOOK_EVERY: Duration = Duration::from_millis(500);

/// Whether this process may act, and with which fence. A cheap handle.
#[derive(Clone)]
pub struct Leadership(Arc<Shared>);

struct Shared {
    started: Instant,
    lease: Mutex<Lease>,
    /// This process's name as a holder; random, so that a restart is another holder.
    holder: String,
    /// Nobody else can hold the lease: the store's file is locked by this process.
    sole: bool,
}

impl Leadership {
    pub fn new(holder: String, sole: bool) -> Self {
        Self(Arc::new(Shared { started: Instant::now(), lease: Mutex::new(Lease::default()), holder, sole }))
    }

    /// The fence to act with, if this server leads right now.
    pub fn acting(&self) -> Option<Fence> {
        self.lease().acting(self.now_ms()).cloned()
    }

    fn lease(&self) -> std::sync::MutexGuard<'_, Lease> {
        self.0.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        self.0.started.elapsed().as_millis() as u64
    }

    /// Takes and keeps the lease until `shutdown`, then gives it up so that nobody waits for it.
    pub async fn run(self, store: Store, cluster: Cluster, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            let led = self.acting().is_some();
            if let Err(error) = self.look(&store, &cluster).await {
                tracing::warn!(%error, "the lease cannot be looked at");
            }
            if !led && let Some(fence) = self.acting() {
                tracing::info!(epoch = fence.epoch, "this server leads");
                cluster.nudge();
            }
            let pause = if self.0.sole && self.acting().is_some() { SOLE_LOOK_EVERY } else { LOOK_EVERY };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep_until(beat::within(pause)) => {}
            }
        }
        // Idle first: the next leader may begin the moment the row says so.
        let now = self.now_ms();
        let held = self.lease().give_up(now);
        if let Some(fence) = held {
            store.lease_release(&fence).await?;
        }
        Ok(())
    }

    #[cfg(test)]
    pub(crate) async fn look_once(&self, store: &Store, cluster: &Cluster) {
        self.look(store, cluster).await.expect("the lease can be looked at");
    }

    /// As after a renewal that came too late.
    #[cfg(test)]
    pub(crate) fn lapse(&self) {
        self.lease().renewed(false, 0);
    }

    #[cfg(test)]
    pub(crate) fn hold(&self, fence: Fence) {
        let now = self.now_ms();
        self.lease().taken(fence, now);
    }

    async fn look(&self, store: &Store, cluster: &Cluster) -> Result<(), StoreError> {
        let highest = cluster.highest_epoch();
        if self.0.sole && self.acting().is_some_and(|fence| fence.epoch > highest) {
            // The locked file is the proof; there is nothing to renew against.
            let now = self.now_ms();
            self.lease().renewed(true, now);
            return Ok(());
        }
        let row = store.lease_read().await?;
        let sent_ms = self.now_ms();
        let step = self.lease().step(&row, sent_ms, highest, self.0.sole);
        match step {
            LeaseStep::Wait => {}
            LeaseStep::Take { row, at_least } => {
                if let Some(fence) = store.lease_take(&row, &self.0.holder, at_least).await? {
                    self.lease().taken(fence, sent_ms);
                }
            }
            LeaseStep::Renew(fence) => {
                let held = store.lease_renew(&fence).await?;
                self.lease().renewed(held, sent_ms);
            }
        }
        Ok(())
    }
}
