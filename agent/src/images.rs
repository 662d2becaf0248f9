//! Removes images of ours that nobody needs any more.

use std::sync::Arc;
use std::time::Duration;

use dinp_common::name::ClusterId;
use dinp_common::wire::ImagesKept;
use dinp_daemon::beat;
use dinp_planner::agent::images::removable;
use tokio::sync::watch;

use crate::engine::{Engine, EngineError};

const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Looks at every change of what is kept, and every half minute.
pub async fn run(engine: Arc<Engine>, cluster: ClusterId, mut kept: watch::Receiver<ImagesKept>) {
    loop {
        let now = kept.borrow_and_update().clone();
        if now.settled.is_some()
            && let Err(error) = pass(&engine, &cluster, &now).await
        {
            tracing::debug!("no images are removed now: {error}");
        }
        match tokio::time::timeout_at(beat::within(LOOK_EVERY), kept.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => return,
        }
    }
}

/// Removes a few. A failed read of either list removes nothing.
async fn pass(engine: &Engine, cluster: &ClusterId, kept: &ImagesKept) -> Result<(), EngineError> {
    let images = engine.images(cluster).await?;
    let used = engine.images_in_use().await?;
    for id in removable(cluster, &images, kept, &used) {
        match engine.remove_image(&id).await {
            Ok(()) => tracing::info!(image = id.short(), "an image nobody needs is removed"),
            Err(error) => tracing::info!(image = id.short(), "an image stays: {error}"),
        }
    }
    Ok(())
}
