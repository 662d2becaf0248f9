//! Where routes come from. A feed is a session that may break at any time; the table in force never depends on it.

mod redis;
mod unix;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dinp_planner::table::TableRefusal;

use crate::config::FeedAddress;
use crate::keeper::Desk;
pub use redis::table as redis_table;

/// Milliseconds between two reports where nothing changes: below the second that servers count on.
const REPORT_MS: u64 = 800;
/// Milliseconds before the first try to connect again, doubled up to the longest.
const PAUSE_MS: u64 = 50;
const LONGEST_PAUSE_MS: u64 = 2_000;
/// Milliseconds before a whole table is asked for again after one that was damaged.
const DAMAGED_PAUSE_MS: u64 = 500;

/// One way to carry updates to the router and its reports back.
trait Feed: Sync {
    /// Connects, and speaks until the connection breaks.
    fn session(&self, desk: &Desk, link: &Link) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Tells the other side that this router has left for good.
    fn goodbye(&self, desk: &Desk) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// Feeds the router until it is dropped.
pub async fn run(address: &FeedAddress, desk: &Desk) {
    match address {
        FeedAddress::Unix(path) => sessions(&unix::UnixFeed(path.clone()), desk).await,
        FeedAddress::Redis(url) => sessions(&redis::RedisFeed(url.clone()), desk).await,
    }
}

/// Says goodbye over a connection of its own.
pub async fn goodbye(address: &FeedAddress, desk: &Desk) -> anyhow::Result<()> {
    match address {
        FeedAddress::Unix(path) => unix::UnixFeed(path.clone()).goodbye(desk).await,
        FeedAddress::Redis(url) => redis::RedisFeed(url.clone()).goodbye(desk).await,
    }
}

/// Whether the other side has answered in this session.
#[derive(Debug, Default)]
struct Link(AtomicBool);

impl Link {
    fn is_up(&self) {
        self.0.store(true, Ordering::Relaxed);
        tracing::info!("the route feed is connected");
    }
}

async fn sessions(feed: &impl Feed, desk: &Desk) {
    let (mut pause, mut told) = (PAUSE_MS, false);
    loop {
        let link = Link::default();
        let ended = feed.session(desk, &link).await;
        if link.0.into_inner() {
            (pause, told) = (PAUSE_MS, false);
        }
        if !told {
            let error = ended.err().map_or_else(|| "it ended".to_owned(), |error| format!("{error:#}"));
            tracing::warn!(error, "no route feed; routing goes on by the last table");
            told = true;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE_MS);
    }
}

/// What a session does after an update was offered.
enum After {
    Nothing,
    /// Ask for the whole table.
    Resync,
    /// The same, but not at once: it came damaged.
    ResyncLater,
}

fn after(outcome: Result<bool, TableRefusal>) -> After {
    match outcome {
        Ok(_) => After::Nothing,
        Err(TableRefusal::NotNewer { .. }) => After::Nothing,
        Err(refusal @ TableRefusal::Gap { .. }) => {
            tracing::info!(%refusal, "asking for the whole table");
            After::Resync
        }
        Err(refusal @ TableRefusal::Fence(_)) => {
            tracing::warn!(%refusal, "routes refused");
            After::Nothing
        }
        Err(refusal @ TableRefusal::Uncertified { .. }) => {
            tracing::warn!(%refusal, "routes refused");
            After::ResyncLater
        }
    }
}
