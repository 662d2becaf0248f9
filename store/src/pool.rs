//! A pool of connections that is replaced when it stops giving any.
//!
//! A connection dropped on a silently dead socket can keep its permit for ever (launchbadge/sqlx #4349), and a pool
//! that has lost all of them never recovers. So a pool which fails to give a connection [`REBUILD_AFTER`] times in a
//! row is thrown away, and a new one begins with nothing borrowed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyPool, ConnectOptions as _, Executor as _};
use tokio::time::{Instant, timeout_at};

use crate::dialect::{Dialect, Durability};
use crate::error::StoreError;
use crate::url::StoreUrl;

/// Failures to get a connection in a row, after which the pool is replaced.
const REBUILD_AFTER: u32 = 3;
/// How long one try for a connection may last: below the deadline of a call, so that the reason is known in time.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections of one server to MySQL: loops and requests wait for each other beyond that.
const MYSQL_CONNECTIONS: u32 = 8;
/// Readers of the state file; each has a thread and a cache of its own.
const SQLITE_READERS: u32 = 4;

pub(crate) struct Pool {
    url: String,
    dialect: Dialect,
    durability: Durability,
    connections: u32,
    current: Mutex<Current>,
}

struct Current {
    pool: AnyPool,
    failures: u32,
}

impl Pool {
    pub(crate) fn new(url: &StoreUrl, durability: Durability) -> Result<Self, StoreError> {
        let dialect = Dialect::of(url);
        let connections = match (dialect, durability) {
            // SQLite has one writer, and only writers need the durable pool.
            (Dialect::Sqlite, Durability::Durable) => 1,
            (Dialect::Sqlite, Durability::Progress) => SQLITE_READERS,
            (Dialect::MySql, Durability::Progress | Durability::Durable) => MYSQL_CONNECTIONS,
        };
        let url = url.for_driver();
        let pool = build(&url, dialect, durability, connections)?;
        Ok(Self { url, dialect, durability, connections, current: Mutex::new(Current { pool, failures: 0 }) })
    }

    pub(crate) async fn acquire(&self, deadline: Instant) -> Result<PoolConnection<Any>, StoreError> {
        let pool = self.lock().pool.clone();
        let result = match timeout_at(deadline, pool.acquire()).await {
            Ok(result) => result.map_err(StoreError::from),
            Err(_) => Err(StoreError::unavailable("no connection was made in time")),
        };
        self.note(result.is_ok());
        result
    }

    fn note(&self, ok: bool) {
        let mut current = self.lock();
        current.failures = if ok { 0 } else { current.failures + 1 };
        if current.failures < REBUILD_AFTER {
            return;
        }
        match build(&self.url, self.dialect, self.durability, self.connections) {
            Ok(pool) => {
                tracing::warn!(failures = current.failures, "the database gives no connections; starting with a new pool");
                *current = Current { pool, failures: 0 };
            }
            Err(error) => tracing::error!(%error, "no new pool can be made"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn build(url: &str, dialect: Dialect, durability: Durability, connections: u32) -> Result<AnyPool, StoreError> {
    let options: AnyConnectOptions = url.parse()?;
    let options = options.disable_statement_logging();
    Ok(AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(dialect == Dialect::MySql)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for statement in dialect.on_connect(durability) {
                    connection.execute(*statement).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options))
}

#[cfg(test)]
mod tests;
