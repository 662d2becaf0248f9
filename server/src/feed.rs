//! The way routes take to the routers, and confirmations take back.

mod redis;
mod socket;

use dinp_common::name::RouterId;
use dinp_common::route::{RouteUpdate, RouterMessage};
use dinp_planner::table::Publisher;
use dinp_store::{Store, StoreError};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;

pub use redis::{Answer as RedisAnswer, RedisFeed, Table as RedisTable};
pub use socket::SocketFeed;

/// One of the two ways. Both carry the same certified records.
pub enum Feed {
    /// Routers of this machine connect to a unix socket.
    Socket(SocketFeed),
    /// Routers anywhere read Redis.
    Redis(Box<RedisFeed>),
}

impl Feed {
    /// Opens the feed named by `address`: `unix:/run/dinp/routes.sock` or `redis://...`. The returned task hears what
    /// the routers say until `shutdown`.
    ///
    /// # Errors
    /// If the address is neither, or the socket cannot be bound.
    pub fn open(
        address: &str,
        hearing: Hearing,
        shutdown: CancellationToken,
    ) -> anyhow::Result<(Self, tokio::task::JoinHandle<anyhow::Result<()>>)> {
        if let Some(path) = address.strip_prefix("unix:") {
            let (feed, task) = SocketFeed::open(path.as_ref(), hearing, shutdown)?;
            return Ok((Self::Socket(feed), task));
        }
        if address.starts_with("redis://") {
            let (feed, task) = RedisFeed::open(address, hearing, shutdown)?;
            return Ok((Self::Redis(Box::new(feed)), task));
        }
        anyhow::bail!("routes = \"{address}\" is neither unix:PATH nor redis://HOST:PORT")
    }

    /// Makes the publisher's table known: `update` is what just changed, if anything did. Never waits long: what does
    /// not get through now is sent again by a later pass.
    pub async fn publish(&mut self, update: Option<RouteUpdate>, publisher: &Publisher) {
        match self {
            Self::Socket(feed) => feed.publish(update, publisher),
            Self::Redis(feed) => feed.publish(update, publisher).await,
        }
    }
}

/// Where the routers' words go.
#[derive(Clone)]
pub struct Hearing {
    pub store: Store,
    pub cluster: Cluster,
}

impl Hearing {
    /// Takes in one message heard at `heard`. A router is recorded before its first word counts, so that no address
    /// is reused behind its back.
    async fn take(&self, message: RouterMessage, heard: Instant) -> Result<(), StoreError> {
        match message {
            RouterMessage::Status(status) => {
                self.record(&status.router).await?;
                self.cluster.router_status(status, heard);
            }
            RouterMessage::Resync { router } => tracing::info!(%router, "router asks for the whole table"),
            RouterMessage::Goodbye { router } => {
                self.store.router_forget(&router).await?;
                self.cluster.router_gone(&router);
                tracing::info!(%router, "router left");
            }
        }
        Ok(())
    }

    /// Records a router that the last load does not name: it is new, or the database has lost it since.
    async fn record(&self, router: &RouterId) -> Result<(), StoreError> {
        if self.cluster.snapshot().desired.routers.contains(router) {
            return Ok(());
        }
        match self.store.router_record(router).await {
            Ok(true) => tracing::info!(%router, "router joined"),
            Ok(false) => {}
            // It is waited for while it speaks, and is tried again at its next word.
            Err(error) if self.cluster.knows_router(router) => tracing::warn!(%router, %error, "it cannot be recorded just now"),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
