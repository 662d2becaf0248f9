//! Takes updates in: certify, hand to all cores, write to disk, confirm. In that order, one at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use dinp_common::route::{RouteUpdate, TableVersion};
use dinp_daemon::admin::Readiness;
use dinp_planner::table::{Applier, TableRefusal};
use tokio::sync::{mpsc, oneshot, watch};

use crate::cores::Cores;
use crate::flights::Flights;
use crate::lookup::Snapshot;
use crate::report::Reporter;
use crate::state_dir::StateDir;

/// Updates that may wait: feeds send one and wait for its outcome.
const OFFERS_WAITING: usize = 16;
/// Milliseconds before the disk is tried again that took neither a table nor the removal of the last.
const DISK_RETRY_MS: u64 = 1_000;

/// An update and where its outcome goes.
type Offer = (RouteUpdate, oneshot::Sender<Result<bool, TableRefusal>>);

/// Where feeds bring their updates, and read what there is to report.
#[derive(Clone)]
pub struct Desk {
    offers: mpsc::Sender<Offer>,
    pub reporter: Arc<Reporter>,
    table: watch::Receiver<Option<Arc<RouteUpdate>>>,
}

impl Desk {
    /// Offers an update. When this returns `Ok`, all cores route by it, and it is confirmed, or will be as soon as the
    /// table on disk is not an older one. `Ok(false)`: it was the table already.
    ///
    /// # Errors
    /// Why it was refused; the table is unchanged.
    pub async fn offer(&self, update: RouteUpdate) -> anyhow::Result<Result<bool, TableRefusal>> {
        let (outcome, answer) = oneshot::channel();
        self.offers.send((update, outcome)).await.map_err(|_| anyhow::anyhow!("the router is stopping"))?;
        Ok(answer.await?)
    }

    /// The version all cores route by.
    pub fn at(&self) -> Option<TableVersion> {
        self.reporter.confirmed()
    }

    /// Follows the whole table, for a predecessor.
    pub fn table(&self) -> watch::Receiver<Option<Arc<RouteUpdate>>> {
        self.table.clone()
    }
}

/// Owns the table.
pub struct Keeper {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub flights: Arc<Flights>,
    pub state: StateDir,
    pub readiness: Readiness,
    /// Cleared once another process owns the state directory.
    pub owns_state: Arc<AtomicBool>,
    applier: Applier,
    offers: mpsc::Receiver<Offer>,
    table: watch::Sender<Option<Arc<RouteUpdate>>>,
    reporter: Arc<Reporter>,
    /// The table in force is not confirmed yet, since the disk holds an older one.
    unkept: bool,
}

impl Keeper {
    pub fn new(
        snapshot: Arc<ArcSwap<Snapshot>>,
        flights: Arc<Flights>,
        state: StateDir,
        readiness: Readiness,
        reporter: Arc<Reporter>,
    ) -> (Self, Desk) {
        let (offer, offers) = mpsc::channel(OFFERS_WAITING);
        let table = watch::Sender::new(None);
        let desk = Desk { offers: offer, reporter: reporter.clone(), table: table.subscribe() };
        let owns_state = Arc::new(AtomicBool::new(true));
        let applier = Applier::default();
        readiness.not_ready("table", "no routes yet");
        (Self { snapshot, flights, state, readiness, owns_state, applier, offers, table, reporter, unkept: false }, desk)
    }

    /// Loads the table on disk, if there is a good one. Cores that start after this route by it from their first
    /// request on.
    pub fn load(&mut self) {
        match self.state.table() {
            Ok(Some(update)) => match self.applier.apply(&update) {
                Ok(_) => {
                    tracing::info!(at = ?self.applier.at(), "routing by the table on disk");
                    self.store();
                }
                Err(refusal) => tracing::warn!(%refusal, "the table on disk is not used"),
            },
            Ok(None) => {}
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the table on disk is not used"),
        }
    }

    /// Confirms what was loaded, now that the cores route by it.
    pub fn started(&self) {
        if let Some(full) = self.full() {
            self.table.send_replace(Some(Arc::new(full)));
        }
        self.confirm();
    }

    /// Runs until nobody can offer anything any more.
    pub async fn run(mut self, cores: Arc<Cores>) {
        loop {
            // Both are cancel-safe: an offer is taken only by the branch that runs.
            let offer = tokio::select! {
                offer = self.offers.recv() => offer,
                () = tokio::time::sleep(Duration::from_millis(DISK_RETRY_MS)), if self.unkept => {
                    self.keep().await;
                    continue;
                }
            };
            let Some((update, outcome)) = offer else { return };
            let result = self.take(&update, &cores).await;
            // The feed that offered it may have lost its connection meanwhile; the table is in force all the same.
            let _ = outcome.send(result);
        }
    }

    async fn take(&mut self, update: &RouteUpdate, cores: &Cores) -> Result<bool, TableRefusal> {
        let changed = self.applier.apply(update)?;
        if changed {
            self.store();
            cores.barrier().await;
            self.keep().await;
        }
        Ok(changed)
    }

    /// Makes the table the one that cores read.
    fn store(&self) {
        let Some(table) = self.applier.table() else { return };
        let instances = self.flights.follow(table);
        self.snapshot.store(Arc::new(Snapshot::new(table, instances)));
    }

    /// Writes the table before it is confirmed: a router that confirmed a withdrawal and crashed must not start again
    /// with the address that was withdrawn.
    async fn keep(&mut self) {
        self.unkept = !self.write().await;
        if !self.unkept {
            self.confirm();
        }
    }

    /// True if no older table is left on disk.
    async fn write(&self) -> bool {
        let Some(full) = self.full() else { return true };
        let full = Arc::new(full);
        self.table.send_replace(Some(full.clone()));
        if !self.owns_state.load(Ordering::Acquire) {
            return true;
        }
        let state = self.state.clone();
        let written = tokio::task::spawn_blocking(move || state.write_table(&full)).await;
        let Err(error) = written.map_err(anyhow::Error::from).and_then(std::convert::identity) else {
            self.readiness.ready("disk");
            return true;
        };
        tracing::error!(error = format!("{error:#}"), "the table cannot be kept on disk");
        self.readiness.not_ready("disk", format!("{error:#}"));
        // Better none than one with addresses that were withdrawn.
        let removed = self.state.forget_table();
        if let Err(error) = &removed {
            tracing::error!(error = format!("{error:#}"), "an older table stays on disk, so this one is not confirmed");
        }
        removed.is_ok()
    }

    fn confirm(&self) {
        let Some(cert) = self.applier.cert() else { return };
        let at = cert.at();
        metrics::gauge!("dinp_router_table_epoch").set(at.epoch as f64);
        metrics::gauge!("dinp_router_table_version").set(at.version as f64);
        metrics::gauge!("dinp_router_routes").set(self.applier.table().map_or(0, |table| table.len()) as f64);
        self.readiness.ready("table");
        self.reporter.confirm(cert);
        tracing::debug!(?at, "confirmed");
    }

    fn full(&self) -> Option<RouteUpdate> {
        let (cert, table) = (self.applier.cert()?, self.applier.table()?);
        Some(RouteUpdate::Full { cert: cert.clone(), routes: table.values().cloned().collect() })
    }
}

#[cfg(test)]
mod tests {
    use dinp_common::fence::Fence;
    use dinp_common::name::{ClusterId, RouterId};
    use dinp_common::route::RouteTable;
    use dinp_daemon::Nudge;
    use dinp_planner::table::Publisher;

    use super::*;

    #[tokio::test]
    async fn nothing_is_confirmed_while_the_disk_keeps_an_older_table() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDir::new(dir.path()).expect("made");
        let flights = Arc::new(Flights::new(Nudge::default()));
        let id = RouterId::parse("r1").expect("id");
        let reporter = Arc::new(Reporter::new(id, flights.clone(), Nudge::default()));
        let (mut keeper, desk) = Keeper::new(Arc::default(), flights, state, Readiness::default(), reporter);
        let fence = Fence { cluster: ClusterId::parse("lab").expect("cluster"), epoch: 1, holder: "server".into() };
        let update = Publisher::new(fence).publish(&RouteTable::new()).expect("a first version");
        keeper.applier.apply(&update).expect("certified");

        // A folder can be neither replaced by a file nor removed as one.
        let in_the_way = dir.path().join("table.json");
        std::fs::create_dir(&in_the_way).expect("made");
        keeper.keep().await;
        assert_eq!((desk.at(), keeper.unkept), (None, true));
        std::fs::remove_dir(&in_the_way).expect("removed");
        keeper.keep().await;
        assert_eq!((desk.at(), keeper.unkept), (keeper.applier.at(), false));
        assert!(in_the_way.is_file());
    }
}
