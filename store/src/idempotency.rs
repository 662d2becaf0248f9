//! Requests that were sent once and may arrive twice (`Idempotency-Key`).

use sqlx::any::AnyRow;

use crate::counter::Counter;
use crate::dialect::{Dialect, Durability};
use crate::error::StoreError;
use crate::open::Store;
use crate::row::{Columns as _, long};
use crate::session::{Session, sql};

/// Keys kept, newest first: a day of a busy cluster.
pub const IDEMPOTENCY_KEPT: u64 = 5_000;
/// Old keys are dropped once in so many new ones.
const TRIM_EVERY: u64 = 100;

/// What is known of a request's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// Never seen: do it, then call `idempotency_finish` (or `idempotency_forget` if it did nothing).
    New,
    /// Done before, with this answer.
    Replay { status: u16, body: String },
    /// The first one is still under way.
    InProgress,
    /// The key came with another request before.
    Reused,
}

impl Store {
    /// Looks a key up and takes it if it is new. `fingerprint` stands for the whole request. Lengths: 128 characters,
    /// 255 and 128 at most.
    pub async fn idempotency_begin(&self, principal: &str, key: &str, fingerprint: &str) -> Result<Idempotency, StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = begin(self, &mut session, principal, key, fingerprint).await;
        session.end(result).await
    }

    pub async fn idempotency_finish(&self, principal: &str, key: &str, status: u16, body: &str) -> Result<(), StoreError> {
        let query = sql("UPDATE idempotency SET status = ?, body = ? WHERE principal = ? AND request_key = ?");
        let mut session = self.writing(Durability::Progress).await?;
        let result = session.execute(query.bind(long(status)).bind(body).bind(principal).bind(key)).await;
        session.end(result).await.map(|_| ())
    }

    /// Lets the key be used again: its request changed nothing.
    pub async fn idempotency_forget(&self, principal: &str, key: &str) -> Result<(), StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = session.idempotency_delete(principal, key).await;
        session.end(result).await
    }
}

impl Session {
    async fn idempotency_delete(&mut self, principal: &str, key: &str) -> Result<(), StoreError> {
        let query = sql("DELETE FROM idempotency WHERE principal = ? AND request_key = ?");
        self.execute(query.bind(principal).bind(key)).await.map(|_| ())
    }
}

async fn begin(
    store: &Store,
    session: &mut Session,
    principal: &str,
    key: &str,
    fingerprint: &str,
) -> Result<Idempotency, StoreError> {
    let query = sql("SELECT * FROM idempotency WHERE principal = ? AND request_key = ?").bind(principal).bind(key);
    if let Some(row) = session.row(query).await? {
        if !abandoned(store, &row)? {
            return known(&row, fingerprint);
        }
        session.idempotency_delete(principal, key).await?;
    }
    let number = session.counter_next(Counter::Idempotency).await?;
    let query = sql("INSERT INTO idempotency (principal, request_key, fingerprint, sequence_no, process) VALUES (?, ?, ?, ?, ?)");
    let query = query.bind(principal).bind(key).bind(fingerprint).bind(long(number)).bind(store.process());
    session.execute(query).await?;
    if number.is_multiple_of(TRIM_EVERY) {
        let old = sql("DELETE FROM idempotency WHERE sequence_no <= ?").bind(long(number.saturating_sub(IDEMPOTENCY_KEPT)));
        session.execute(old).await?;
    }
    Ok(Idempotency::New)
}

/// On SQLite there is one server: a request that another process began was cut off with it. On MySQL that process
/// may live, and the key stays taken.
fn abandoned(store: &Store, row: &AnyRow) -> Result<bool, StoreError> {
    let unfinished = row.number_opt::<u16>("status")?.is_none();
    Ok(unfinished && store.dialect() == Dialect::Sqlite && row.text("process")? != store.process())
}

fn known(row: &AnyRow, fingerprint: &str) -> Result<Idempotency, StoreError> {
    if row.text("fingerprint")? != fingerprint {
        return Ok(Idempotency::Reused);
    }
    let Some(status) = row.number_opt("status")? else { return Ok(Idempotency::InProgress) };
    Ok(Idempotency::Replay { status, body: row.text_opt("body")?.unwrap_or_default() })
}
