//! Builds under way: who holds which, and what a finished one leads to.
//!
//! A builder that falls silent loses its build after [`CLAIM_LAPSES`] of this server's own time. What a build leads to is
//! worked out from what is stored, so a server that stopped between a build's end and its release goes on from there.

mod settle;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dinp_common::api::{BuildClaim, WatchEvent};
use dinp_common::build::{BuildId, BuildOutcome};
use dinp_common::digest::Digest;
use dinp_daemon::beat;
use dinp_store::{Requeued, Store, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::artifacts::Artifacts;
use crate::cluster::Cluster;

/// A builder renews at least every 5 s; three renewals missed, and it counts as gone.
pub const CLAIM_LAPSES: Duration = Duration::from_secs(15);
/// How often silence is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often a waiting builder looks into the store, where another server may have queued something.
const LOOK_FOR_WORK: Duration = Duration::from_secs(5);
/// How long an upload may wait for its deploy before it counts as forgotten.
const UPLOAD_WAITS: Duration = Duration::from_secs(3_600);
/// Uploads remembered as waiting; the oldest goes first.
const UPLOADS_WAITING: usize = 1_024;

/// A cheap handle; clones share everything.
#[derive(Clone)]
pub struct Builds(Arc<Shared>);

struct Shared {
    store: Store,
    cluster: Cluster,
    artifacts: Artifacts,
    claims: Mutex<HashMap<BuildId, Held>>,
    uploads: Mutex<HashMap<Digest, Instant>>,
    /// Counts what happens to builds, so that those who wait look again.
    moved: watch::Sender<u64>,
}

struct Held {
    claim: String,
    renewed: Instant,
}

impl Builds {
    pub fn new(store: Store, cluster: Cluster, artifacts: Artifacts) -> Self {
        let (claims, uploads, moved) = (Mutex::default(), Mutex::default(), watch::Sender::new(0));
        Self(Arc::new(Shared { store, cluster, artifacts, claims, uploads, moved }))
    }

    fn claims(&self) -> MutexGuard<'_, HashMap<BuildId, Held>> {
        self.0.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was queued, logged or finished: whoever waits looks again.
    pub fn moved(&self) {
        self.0.moved.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Changes whenever [`Self::moved`] is called.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.moved.subscribe()
    }

    /// Gives the oldest waiting build to a builder, which may wait for one.
    pub async fn claim(&self, wait: Duration, shutdown: &CancellationToken) -> Result<Option<BuildClaim>, StoreError> {
        let claim = hex::encode(rand::random::<[u8; 16]>());
        let deadline = tokio::time::Instant::now() + wait;
        let mut moved = self.watch();
        loop {
            moved.mark_unchanged();
            if let Some(order) = self.0.store.build_claim(&claim).await? {
                self.renewed(order.id, &claim);
                self.0.cluster.announce(WatchEvent::App { app: order.app.to_string() });
                return Ok(Some(BuildClaim { claim, order }));
            }
            let look = deadline.min(beat::within(LOOK_FOR_WORK));
            tokio::select! {
                _ = moved.changed() => {}
                () = tokio::time::sleep_until(look) => {}
                () = shutdown.cancelled() => return Ok(None),
            }
            if tokio::time::Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }

    fn renewed(&self, id: BuildId, claim: &str) {
        self.claims().insert(id, Held { claim: claim.to_owned(), renewed: Instant::now() });
    }

    /// Appends lines and renews; `false` if the build is not this builder's (any more).
    pub async fn log(&self, id: BuildId, claim: &str, lines: &[String]) -> Result<bool, StoreError> {
        let held = self.0.store.build_log_append(id, claim, lines).await?;
        if held {
            self.renewed(id, claim);
            if !lines.is_empty() {
                self.moved();
            }
        }
        Ok(held)
    }

    /// Takes in a build's outcome; `false` if the build is not this builder's (any more).
    pub async fn finish(&self, id: BuildId, claim: &str, outcome: &BuildOutcome) -> Result<bool, StoreError> {
        let held = self.0.store.build_finish(id, claim, outcome).await?;
        if held {
            self.claims().remove(&id);
            self.settle_or_later().await;
        }
        self.moved();
        Ok(held)
    }

    /// Watches over claims until `shutdown`, as long as this server leads.
    pub async fn supervise(self, shutdown: CancellationToken) {
        let mut led = false;
        loop {
            let leads = self.0.cluster.snapshot().leading;
            if leads && !led {
                match self.adopt().await {
                    Ok(()) => led = true,
                    Err(error) => tracing::warn!(%error, "builds under way cannot be read; trying again"),
                }
            } else if !leads {
                led = false;
            }
            self.lapse(Instant::now()).await;
            tokio::select! {
                () = tokio::time::sleep_until(beat::within(LOOK)) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// A new leader does not know when builders were last heard: each gets its full time anew.
    async fn adopt(&self) -> Result<(), StoreError> {
        for (id, claim) in self.0.store.build_running().await? {
            self.claims().entry(id).or_insert(Held { claim, renewed: Instant::now() });
        }
        self.settle_or_later().await;
        self.moved();
        Ok(())
    }

    /// Takes builds away from builders that fell silent.
    pub async fn lapse(&self, now: Instant) {
        let silent = |held: &Held| now.saturating_duration_since(held.renewed) >= CLAIM_LAPSES;
        let lapsed: Vec<(BuildId, String)> =
            self.claims().iter().filter(|(_, held)| silent(held)).map(|(id, held)| (*id, held.claim.clone())).collect();
        for (id, claim) in lapsed {
            match self.0.store.build_requeue(id, &claim).await {
                Ok(Requeued::Queued) => tracing::warn!(build = %id, "its builder fell silent; the build waits for another"),
                Ok(Requeued::GaveUp) => {
                    tracing::warn!(build = %id, "its builders fell silent too often; the build has failed");
                    self.settle_or_later().await;
                }
                Ok(Requeued::Stale) => {}
                Err(error) => {
                    tracing::warn!(build = %id, %error, "a silent builder's claim cannot be taken back; trying again");
                    continue;
                }
            }
            self.claims().remove(&id);
            self.moved();
        }
    }

    /// An upload keeps its artifact until a deploy needs it, or it counts as forgotten.
    pub fn uploaded(&self, digest: &Digest) {
        let now = Instant::now();
        let mut uploads = self.uploads();
        uploads.retain(|_, at| now.duration_since(*at) < UPLOAD_WAITS);
        if uploads.len() >= UPLOADS_WAITING {
            let oldest = uploads.iter().min_by_key(|(_, at)| **at).map(|(digest, _)| digest.clone());
            oldest.and_then(|oldest| uploads.remove(&oldest));
        }
        uploads.insert(digest.clone(), now);
    }

    /// From now on its build keeps the artifact, and no longer than that.
    pub fn deployed(&self, digest: &Digest) {
        self.uploads().remove(digest);
    }

    fn uploads(&self) -> MutexGuard<'_, HashMap<Digest, Instant>> {
        self.0.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes artifacts that no build needs any more and nobody has just uploaded.
    async fn sweep(&self) -> Result<(), StoreError> {
        let present = match self.0.artifacts.list() {
            Ok(present) if present.is_empty() => return Ok(()),
            Ok(present) => present,
            Err(error) => {
                tracing::warn!(%error, "the artifacts' folder cannot be read");
                return Ok(());
            }
        };
        let needed = self.0.store.artifact_list_needed().await?;
        for digest in present {
            if needed.contains(&digest) || self.waits(&digest) {
                continue;
            }
            if let Err(error) = self.0.artifacts.remove(&digest).await {
                tracing::warn!(%error, artifact = %digest, "an old artifact cannot be removed");
            }
        }
        Ok(())
    }

    fn waits(&self, digest: &Digest) -> bool {
        let uploads = self.uploads();
        uploads.get(digest).is_some_and(|at| at.elapsed() < UPLOAD_WAITS)
    }
}
