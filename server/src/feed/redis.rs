//! The feed of many machines: Redis holds what routers should know, and can be rebuilt at any time.
//!
//! The keys are those of [`redis_keys`].

mod table;

use std::time::{Duration, Instant};

use anyhow::Context;
use dinp_common::route::redis_keys::{ROUTER, ROUTER_TTL_SECONDS, STATUS_CHANNEL};
use dinp_common::route::{RouteUpdate, RouterMessage, RouterStatus, TableVersion};
use dinp_planner::table::Publisher;
use futures_util::StreamExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Hearing;
pub use table::{Answer, Table};

/// How long Redis may take for anything. A stalled Redis must not hold up a pass.
const DEADLINE: Duration = Duration::from_millis(500);
/// How often the table in Redis is compared with ours, so that a flushed Redis heals.
const VERIFY_EVERY: Duration = Duration::from_secs(1);
/// How often the routers' own keys are read, besides hearing what they announce.
const READ_EVERY: Duration = Duration::from_millis(500);
/// The TTL routers give their keys; what is missing from it is the age of what the key says.
const STATUS_TTL: Duration = Duration::from_secs(ROUTER_TTL_SECONDS);

pub struct RedisFeed {
    client: Client,
    connection: Option<ConnectionManager>,
    table: Table,
    /// What Redis is known to hold.
    holds: Option<TableVersion>,
    verified: Option<Instant>,
    hearing: Hearing,
}

impl RedisFeed {
    pub(super) fn open(
        url: &str,
        hearing: Hearing,
        shutdown: CancellationToken,
    ) -> anyhow::Result<(Self, JoinHandle<anyhow::Result<()>>)> {
        let client = Client::open(url).context("the Redis address cannot be read")?;
        let task = tokio::spawn(hear(client.clone(), hearing.clone(), shutdown));
        Ok((Self { client, connection: None, table: Table::default(), holds: None, verified: None, hearing }, task))
    }

    pub(super) async fn publish(&mut self, update: Option<RouteUpdate>, publisher: &Publisher) {
        let due = self.verified.is_none_or(|at| at.elapsed() >= VERIFY_EVERY);
        if update.is_none() && self.holds == Some(publisher.at()) && !due {
            return;
        }
        match timeout(DEADLINE, self.bring(update, publisher)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.holds = None;
                tracing::warn!(%error, "routes cannot be written to Redis; routers keep their last table");
            }
            Err(_) => {
                self.holds = None;
                self.connection = None;
                tracing::warn!("Redis did not answer in time; routers keep their last table");
            }
        }
    }

    async fn bring(&mut self, update: Option<RouteUpdate>, publisher: &Publisher) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        let step = update.filter(|update| matches!(update, RouteUpdate::Delta { base, .. } if Some(*base) == self.holds));
        if let Some(step) = step {
            if self.apply(&mut connection, &step).await? {
                self.holds = Some(publisher.at());
                return Ok(());
            }
        } else if self.holds == Some(publisher.at()) {
            if self.table.holds(&mut connection, &publisher.cert()).await? {
                self.verified = Some(Instant::now());
                return Ok(());
            }
            tracing::warn!("the table in Redis is not ours any more; it is written anew");
        }
        if self.apply(&mut connection, &publisher.full()).await? {
            self.holds = Some(publisher.at());
            self.verified = Some(Instant::now());
        }
        Ok(())
    }

    async fn connect(&mut self) -> anyhow::Result<ConnectionManager> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = self.client.get_connection_manager_with_config(manager()).await?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// Makes one step; `false` if it does not fit what Redis holds.
    async fn apply(&self, connection: &mut ConnectionManager, update: &RouteUpdate) -> anyhow::Result<bool> {
        match self.table.apply(connection, update).await? {
            Answer::Done => Ok(true),
            Answer::Gap => Ok(false),
            Answer::Older(epoch) => {
                self.hearing.cluster.raise_epoch(epoch);
                anyhow::bail!("Redis has seen epoch {epoch}, above or beside ours")
            }
            Answer::Foreign(cluster) => {
                anyhow::bail!("Redis holds the routes of cluster {cluster}; give each cluster its own Redis database")
            }
        }
    }
}

fn manager() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(DEADLINE))
        .set_response_timeout(Some(DEADLINE))
}

/// Hears routers until `shutdown`: what they announce at once, and their keys every so often.
async fn hear(client: Client, hearing: Hearing, shutdown: CancellationToken) -> anyhow::Result<()> {
    loop {
        // Cancelling drops a connection, and the next look reads everything again.
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            ended = listen(&client, &hearing) => if let Err(error) = ended {
                tracing::warn!(%error, "routers cannot be heard through Redis");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(READ_EVERY) => {}
        }
    }
}

async fn listen(client: &Client, hearing: &Hearing) -> anyhow::Result<()> {
    let mut connection = timeout(DEADLINE, client.get_connection_manager_with_config(manager())).await??;
    let mut pubsub = timeout(DEADLINE, client.get_async_pubsub()).await??;
    timeout(DEADLINE, pubsub.subscribe(STATUS_CHANNEL)).await??;
    let mut announced = pubsub.into_on_message();
    let mut tick = tokio::time::interval(READ_EVERY);
    loop {
        // Cancel-safe: a stream's `next` and a tick lose nothing.
        tokio::select! {
            message = announced.next() => {
                let payload: String = message.context("the subscription ended")?.get_payload()?;
                match serde_json::from_str::<RouterMessage>(&payload) {
                    Ok(message) => hearing.take(message, Instant::now()).await?,
                    Err(error) => tracing::warn!(%error, channel = STATUS_CHANNEL, "a foreign message is ignored"),
                }
            }
            _ = tick.tick() => read_keys(&mut connection, hearing).await?,
        }
    }
}

async fn read_keys(connection: &mut ConnectionManager, hearing: &Hearing) -> anyhow::Result<()> {
    let keys: Vec<String> = {
        let mut found = connection.scan_match::<_, String>(format!("{ROUTER}*")).await?;
        let mut keys = Vec::new();
        while let Some(key) = found.next().await {
            keys.push(key?);
        }
        keys
    };
    for key in keys {
        let read: redis::RedisResult<(Option<String>, i64)> = redis::pipe().get(&key).pttl(&key).query_async(connection).await;
        // A key of another type or without a TTL is not a router's.
        let Ok((Some(text), ttl_ms @ 0..)) = read else { continue };
        let Ok(status) = serde_json::from_str::<RouterStatus>(&text) else { continue };
        let age = STATUS_TTL.saturating_sub(Duration::from_millis(ttl_ms as u64));
        let now = Instant::now();
        hearing.take(RouterMessage::Status(status), now.checked_sub(age).unwrap_or(now)).await?;
    }
    Ok(())
}
