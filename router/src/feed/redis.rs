//! Routes from Redis: a hash with its certificate, and a stream of changes.
//!
//! The stream is the fast way and the certificate the sure one: it is polled, and where it names another version than
//! the one in force, the whole hash is read. So a flushed Redis, a trimmed stream or a lost entry heals by itself, and
//! keys that are missing, foreign or half written change nothing.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;
use dinp_common::route::redis_keys::{CERT, CHANGE_FIELD, CHANGES, ROUTER, ROUTER_TTL_SECONDS, ROUTES, STATUS_CHANNEL};
use dinp_common::route::{Route, RouteUpdate, RouterMessage, TableCert};
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamRangeReply, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, AsyncConnectionConfig};
use tokio::time::{sleep, timeout};

use super::{After, Feed, Link, REPORT_MS, after};
use crate::keeper::Desk;

/// Milliseconds between two looks at the certificate.
const POLL_MS: u64 = 500;
/// Milliseconds a read of the stream waits for an entry.
const BLOCK_MS: usize = 1_000;
/// Milliseconds for any answer, beyond what a read of the stream waits.
const ANSWER_MS: u64 = 3_000;
/// Entries read from the stream at once.
const BATCH: usize = 64;

pub struct RedisFeed(pub String);

impl RedisFeed {
    async fn connect(&self) -> anyhow::Result<MultiplexedConnection> {
        let client = redis::Client::open(self.0.as_str()).context("the Redis address cannot be read")?;
        let limit = Some(Duration::from_millis(ANSWER_MS));
        let config = AsyncConnectionConfig::new().set_connection_timeout(limit).set_response_timeout(limit);
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        connection.context("connecting to Redis")
    }
}

impl Feed for RedisFeed {
    async fn session(&self, desk: &Desk, link: &Link) -> anyhow::Result<()> {
        let (polling, reading, reporting) = (self.connect().await?, self.connect().await?, self.connect().await?);
        link.is_up();
        tokio::select! {
            ended = poll(polling, desk) => ended,
            ended = follow(reading, desk) => ended,
            ended = report(reporting, desk) => ended,
        }
    }

    async fn goodbye(&self, desk: &Desk) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        let message = serde_json::to_string(&RouterMessage::Goodbye { router: desk.reporter.id().clone() })?;
        let key = format!("{ROUTER}{}", desk.reporter.id());
        let goodbye = redis::pipe().del(key).ignore().publish(STATUS_CHANNEL, message).ignore().exec_async(&mut connection).await;
        goodbye.context("saying goodbye")
    }
}

/// Compares the certificate with the version in force, for ever.
async fn poll(mut connection: MultiplexedConnection, desk: &Desk) -> anyhow::Result<()> {
    let mut warned = false;
    loop {
        match behind(&mut connection, desk).await {
            Ok(false) => warned = false,
            Ok(true) => warned = load(&mut connection, desk).await.inspect_err(|error| warn(warned, error)).is_err(),
            Err(error) if is_lost(&error) => return Err(error),
            Err(error) => {
                warn(warned, &error);
                warned = true;
            }
        }
        sleep(Duration::from_millis(POLL_MS)).await;
    }
}

/// A wrong key stays wrong for a while; it is said once.
fn warn(warned: bool, error: &anyhow::Error) {
    if !warned {
        tracing::warn!(error = format!("{error:#}"), "Redis holds no usable table; the one in force stays");
    }
}

fn is_lost(error: &anyhow::Error) -> bool {
    let redis_error = error.chain().find_map(|cause| cause.downcast_ref::<redis::RedisError>());
    redis_error.is_some_and(|error| error.is_io_error() || error.is_timeout() || error.is_connection_dropped())
}

/// Whether Redis certifies another version than the one in force.
async fn behind(connection: &mut MultiplexedConnection, desk: &Desk) -> anyhow::Result<bool> {
    let text: Option<Vec<u8>> = connection.get(CERT).await.context("reading the certificate")?;
    let Some(text) = text else { return Ok(false) };
    let cert: TableCert = serde_json::from_slice(&text).context("the certificate cannot be read")?;
    Ok(desk.at() != Some(cert.at()))
}

/// Reads the whole table and offers it.
async fn load(connection: &mut MultiplexedConnection, desk: &Desk) -> anyhow::Result<()> {
    let Some(table) = table(connection).await? else { return Ok(()) };
    // The next poll tries again whatever came of it.
    let _ = after(desk.offer(table).await?);
    Ok(())
}

/// The whole table with its certificate, as of one moment; `None` where Redis has no certificate.
///
/// # Errors
/// If Redis does not answer, or something among the keys is not ours.
pub async fn table(connection: &mut MultiplexedConnection) -> anyhow::Result<Option<RouteUpdate>> {
    type Reply = (HashMap<Vec<u8>, Vec<u8>>, Option<Vec<u8>>);
    let read: Reply =
        redis::pipe().atomic().hgetall(ROUTES).get(CERT).query_async(connection).await.context("reading the table")?;
    let (hash, Some(cert)) = read else { return Ok(None) };
    let cert: TableCert = serde_json::from_slice(&cert).context("the certificate cannot be read")?;
    let routes = hash
        .iter()
        .map(|(host, route)| {
            let route: Route = serde_json::from_slice(route).context("a route cannot be read")?;
            anyhow::ensure!(route.host.as_str().as_bytes() == host, "a route stands under another host's key");
            Ok(route)
        })
        .collect::<anyhow::Result<Vec<Route>>>()?;
    Ok(Some(RouteUpdate::Full { cert, routes }))
}

/// Takes changes from the stream as they come, from its present end on.
async fn follow(mut connection: MultiplexedConnection, desk: &Desk) -> anyhow::Result<()> {
    let mut last = newest(&mut connection).await;
    let options = StreamReadOptions::default().block(BLOCK_MS).count(BATCH);
    loop {
        let from = [last.as_str()];
        let read = connection.xread_options(&[CHANGES], &from, &options);
        let reply: redis::RedisResult<Option<StreamReadReply>> = match timeout(Duration::from_millis(ANSWER_MS * 2), read).await {
            Ok(reply) => reply,
            Err(_) => anyhow::bail!("Redis does not answer"),
        };
        let entries = match reply {
            Ok(reply) => reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect::<Vec<_>>(),
            Err(error) if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
                return Err(error).context("following the changes");
            }
            // Somebody else's key stands where the stream should: the certificate is polled all the same.
            Err(_) => {
                sleep(Duration::from_millis(POLL_MS)).await;
                continue;
            }
        };
        for entry in entries {
            let update = entry.get::<Vec<u8>>(CHANGE_FIELD).and_then(|text| serde_json::from_slice::<RouteUpdate>(&text).ok());
            if let Some(update) = update
                && !matches!(after(desk.offer(update).await?), After::Nothing)
            {
                load(&mut connection, desk).await.unwrap_or_else(|error| warn(false, &error));
            }
            last = entry.id;
        }
    }
}

/// The id of the stream's last entry.
async fn newest(connection: &mut MultiplexedConnection) -> String {
    let last: redis::RedisResult<StreamRangeReply> = connection.xrevrange_count(CHANGES, "+", "-", 1).await;
    // An empty stream, or none, begins at 0.
    last.ok().and_then(|reply| reply.ids.into_iter().next()).map_or_else(|| "0-0".to_owned(), |entry| entry.id)
}

/// Writes this router's status, at every change and before the last one lapses.
async fn report(mut connection: MultiplexedConnection, desk: &Desk) -> anyhow::Result<()> {
    let key = format!("{ROUTER}{}", desk.reporter.id());
    loop {
        let status = desk.reporter.status();
        let (value, message) = (serde_json::to_string(&status)?, serde_json::to_string(&RouterMessage::Status(status))?);
        let mut pipe = redis::pipe();
        pipe.set_ex(&key, value, ROUTER_TTL_SECONDS).ignore().publish(STATUS_CHANNEL, message).ignore();
        pipe.exec_async(&mut connection).await.context("reporting")?;
        // Either way there is a report to write.
        let _ = timeout(Duration::from_millis(REPORT_MS), desk.reporter.changed()).await;
    }
}
