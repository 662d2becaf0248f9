//! One call on the database: a connection, a deadline, and at most one transaction.
//!
//! A session that is not ended (its deadline passed, or its caller went away) gives up its connection altogether: the
//! database rolls back, and nothing half-used returns to the pool.

use std::time::Duration;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::pool::PoolConnection;
use sqlx::{Any, Executor as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::dialect::Durability;
use crate::error::StoreError;
use crate::open::Store;

/// How long any call on the store may take, everything included: above the waits of the databases themselves (5 s for
/// a lock), so that their own words are heard first.
pub const QUERY_DEADLINE: Duration = Duration::from_secs(10);

pub(crate) type Sql<'q> = sqlx::query::Query<'q, Any, AnyArguments>;

/// One statement, `?` for each value.
pub(crate) fn sql<'q>(text: &'static str) -> Sql<'q> {
    sqlx::query::<Any>(text)
}

pub(crate) struct Session {
    connection: Option<PoolConnection<Any>>,
    deadline: Instant,
    in_transaction: bool,
    /// Whether the connection is known to wait for a statement.
    clean: bool,
    /// Freed last, after the connection has gone back.
    _writer: Option<OwnedSemaphorePermit>,
}

impl Store {
    /// For one statement.
    pub(crate) async fn single(&self) -> Result<Session, StoreError> {
        self.single_with(Durability::Progress).await
    }

    /// For one writing statement of its own, outside the order of writers.
    pub(crate) async fn single_with(&self, durability: Durability) -> Result<Session, StoreError> {
        self.session(durability, None).await
    }

    /// For reads that must agree with each other.
    pub(crate) async fn snapshot(&self) -> Result<Session, StoreError> {
        let mut session = self.single().await?;
        session.begin_snapshot(self).await?;
        Ok(session)
    }

    /// For writes: one transaction at a time in the whole cluster.
    pub(crate) async fn writing(&self, durability: Durability) -> Result<Session, StoreError> {
        let mut session = self.writing_unordered(durability).await?;
        session.wait_for_turn(self).await?;
        Ok(session)
    }

    /// A write transaction that has not yet called [`Session::wait_for_turn`].
    pub(crate) async fn writing_unordered(&self, durability: Durability) -> Result<Session, StoreError> {
        let deadline = Instant::now() + QUERY_DEADLINE;
        let writer = match timeout_at(deadline, self.writer_permit()).await {
            Ok(permit) => permit,
            Err(_) => return Err(StoreError::unavailable("another write is still under way")),
        };
        let mut session = self.session(durability, writer).await?;
        session.deadline = deadline;
        session.begin(self.dialect().begin_write()).await?;
        Ok(session)
    }

    async fn session(&self, durability: Durability, writer: Option<OwnedSemaphorePermit>) -> Result<Session, StoreError> {
        let deadline = Instant::now() + QUERY_DEADLINE;
        let connection = self.pool(durability).acquire(deadline).await?;
        Ok(Session { connection: Some(connection), deadline, in_transaction: false, clean: true, _writer: writer })
    }
}

impl Session {
    /// Another call on the same connection, with a deadline of its own.
    pub(crate) fn renew(&mut self) {
        self.deadline = Instant::now() + QUERY_DEADLINE;
    }

    /// Begins a transaction whose reads all see one moment.
    pub(crate) async fn begin_snapshot(&mut self, store: &Store) -> Result<(), StoreError> {
        self.begin(store.dialect().begin_snapshot()).await
    }

    /// Runs a statement and answers how many rows it matched.
    pub(crate) async fn execute(&mut self, query: Sql<'_>) -> Result<u64, StoreError> {
        let (connection, deadline) = self.parts()?;
        let result = timeout_at(deadline, (&mut **connection).execute(query)).await;
        self.settle(result).map(|done| done.rows_affected())
    }

    pub(crate) async fn rows(&mut self, query: Sql<'_>) -> Result<Vec<AnyRow>, StoreError> {
        let (connection, deadline) = self.parts()?;
        let result = timeout_at(deadline, (&mut **connection).fetch_all(query)).await;
        self.settle(result)
    }

    pub(crate) async fn row(&mut self, query: Sql<'_>) -> Result<Option<AnyRow>, StoreError> {
        let (connection, deadline) = self.parts()?;
        let result = timeout_at(deadline, (&mut **connection).fetch_optional(query)).await;
        self.settle(result)
    }

    /// A statement that takes no values and is not worth preparing.
    pub(crate) async fn plain(&mut self, text: &'static str) -> Result<(), StoreError> {
        let (connection, deadline) = self.parts()?;
        let result = timeout_at(deadline, (&mut **connection).execute(text)).await;
        self.settle(result).map(|_| ())
    }

    /// On MySQL, waits until no other write transaction is under way. SQLite has already waited.
    pub(crate) async fn wait_for_turn(&mut self, store: &Store) -> Result<(), StoreError> {
        match store.dialect().lock_writers() {
            Some(lock) => self.execute(sql(lock)).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Ends the session: commits what went well, rolls back what did not.
    pub(crate) async fn end<T, E: From<StoreError>>(mut self, result: Result<T, E>) -> Result<T, E> {
        self.end_transaction(result).await
    }

    /// The same, and keeps the session for another call.
    pub(crate) async fn end_transaction<T, E: From<StoreError>>(&mut self, result: Result<T, E>) -> Result<T, E> {
        if self.in_transaction {
            match &result {
                Ok(_) => self.commit().await?,
                // The refusal is what the caller needs to hear; a connection that cannot roll back is dropped.
                Err(_) => drop(self.plain("ROLLBACK").await),
            }
            self.in_transaction = false;
        }
        result
    }

    /// Ends the session and keeps nothing of what it wrote.
    pub(crate) async fn take_back_all<T, E: From<StoreError>>(mut self, result: Result<T, E>) -> Result<T, E> {
        // A connection that cannot roll back is dropped, and the database does it then.
        drop(self.plain("ROLLBACK").await);
        self.in_transaction = false;
        result
    }

    async fn begin(&mut self, statement: &'static str) -> Result<(), StoreError> {
        self.in_transaction = true;
        self.plain(statement).await
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.plain("COMMIT").await.map_err(|error| match error {
            StoreError::Unavailable { why } => StoreError::OutcomeUnknown { why },
            other => other,
        })
    }

    fn parts(&mut self) -> Result<(&mut PoolConnection<Any>, Instant), StoreError> {
        let deadline = self.deadline;
        let clean = std::mem::replace(&mut self.clean, false);
        match self.connection.as_mut() {
            Some(connection) if clean => Ok((connection, deadline)),
            _ => Err(StoreError::unavailable("an earlier statement of this call was not answered")),
        }
    }

    fn settle<T>(&mut self, result: Result<Result<T, sqlx::Error>, tokio::time::error::Elapsed>) -> Result<T, StoreError> {
        match result {
            Ok(Ok(value)) => {
                self.clean = true;
                Ok(value)
            }
            Ok(Err(error)) => {
                // A refused statement leaves the connection usable; a broken connection does not.
                self.clean = matches!(error, sqlx::Error::Database(_));
                Err(StoreError::from(error))
            }
            Err(_) => Err(StoreError::unavailable(format!("no answer within {} seconds", QUERY_DEADLINE.as_secs()))),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if (self.in_transaction || !self.clean)
            && let Some(connection) = self.connection.take()
        {
            drop(connection.detach());
        }
    }
}

#[cfg(test)]
mod tests;
