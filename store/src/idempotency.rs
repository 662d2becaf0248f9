//! Requests that were sent once and may arrive twice (`Idempotency-Key`).
//!
//! A key is taken before its request is carried out, and the deploy that the request begins is noted with the key in the
//! transaction that begins it. So whatever cuts a request off, its key tells afterwards whether the change was made; and
//! since write transactions take turns, it tells so only when the outcome of an unanswered commit is settled.

use dinp_common::deploy::{Deploy, DeployNo};
use dinp_common::name::AppName;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use crate::counter::Counter;
use crate::dialect::{Dialect, Durability};
use crate::error::StoreError;
use crate::open::Store;
use crate::row::{Columns as _, long, to_json};
use crate::session::{Session, sql};

/// Keys kept, newest first: a day of a busy cluster.
pub const IDEMPOTENCY_KEPT: u64 = 5_000;
/// Old keys are dropped once in so many new ones.
const TRIM_EVERY: u64 = 100;

/// A request's key. Lengths: 128 and 255 characters at most.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Whose it is: two callers may choose the same key.
    pub principal: String,
    pub key: String,
}

/// What is known of a request's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Idempotency {
    /// Never seen, or it changed nothing: do it, then call `idempotency_finish` (or `idempotency_forget` if it failed).
    New,
    /// Done before, with this answer.
    Replay { status: u16, body: String },
    /// It has begun this deploy, and its answer was not kept.
    Begun { app: AppName, number: DeployNo },
    /// Another server may still be at it.
    InProgress,
    /// The key came with another request before.
    Reused,
}

/// What is kept with an unfinished key whose request has changed something.
#[derive(Serialize, Deserialize)]
struct Noted {
    app: AppName,
    number: DeployNo,
}

impl Store {
    /// Looks a key up and takes it if it is new. `fingerprint` stands for the whole request, in 128 characters at most.
    /// The caller runs one request with a key at a time, so an unfinished one of its own is over.
    pub async fn idempotency_begin(&self, request: &RequestKey, fingerprint: &str) -> Result<Idempotency, StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = begin(self, &mut session, request, fingerprint).await;
        session.end(result).await
    }

    pub async fn idempotency_finish(&self, request: &RequestKey, status: u16, body: &str) -> Result<(), StoreError> {
        let query = sql("UPDATE idempotency SET status = ?, body = ? WHERE principal = ? AND request_key = ?");
        let query = query.bind(long(status)).bind(body).bind(&request.principal).bind(&request.key);
        let mut session = self.writing(Durability::Progress).await?;
        let result = session.execute(query).await;
        session.end(result).await.map(|_| ())
    }

    /// Lets the key of a request that failed be used again, unless the request changed something after all.
    pub async fn idempotency_forget(&self, request: &RequestKey) -> Result<(), StoreError> {
        let query = sql("DELETE FROM idempotency WHERE principal = ? AND request_key = ? AND status IS NULL AND body IS NULL");
        let query = query.bind(&request.principal).bind(&request.key);
        let mut session = self.writing(Durability::Progress).await?;
        let result = session.execute(query).await;
        session.end(result).await.map(|_| ())
    }
}

impl Session {
    /// Notes what a request did, in the transaction that does it.
    pub(crate) async fn idempotency_note(&mut self, request: &RequestKey, deploy: &Deploy) -> Result<(), StoreError> {
        let noted = to_json("body", &Noted { app: deploy.app.clone(), number: deploy.number })?;
        let query = sql("UPDATE idempotency SET body = ? WHERE principal = ? AND request_key = ? AND status IS NULL");
        match self.execute(query.bind(noted).bind(&request.principal).bind(&request.key)).await? {
            1 => Ok(()),
            _ => Err(StoreError::Conflict {
                why: "this request took too long: its Idempotency-Key is not kept any more".to_owned(),
            }),
        }
    }

    async fn idempotency_delete(&mut self, request: &RequestKey) -> Result<(), StoreError> {
        let query = sql("DELETE FROM idempotency WHERE principal = ? AND request_key = ?");
        self.execute(query.bind(&request.principal).bind(&request.key)).await.map(|_| ())
    }
}

async fn begin(store: &Store, session: &mut Session, request: &RequestKey, fingerprint: &str) -> Result<Idempotency, StoreError> {
    let query = sql("SELECT * FROM idempotency WHERE principal = ? AND request_key = ?");
    if let Some(row) = session.row(query.bind(&request.principal).bind(&request.key)).await? {
        if !came_to_nothing(store, &row)? {
            return known(&row, fingerprint);
        }
        session.idempotency_delete(request).await?;
    }
    let number = session.counter_next(Counter::Idempotency).await?;
    let query = sql("INSERT INTO idempotency (principal, request_key, fingerprint, sequence_no, process) VALUES (?, ?, ?, ?, ?)");
    let query = query.bind(&request.principal).bind(&request.key).bind(fingerprint).bind(long(number)).bind(store.process());
    session.execute(query).await?;
    if number.is_multiple_of(TRIM_EVERY) {
        let old = sql("DELETE FROM idempotency WHERE sequence_no <= ?").bind(long(number.saturating_sub(IDEMPOTENCY_KEPT)));
        session.execute(old).await?;
    }
    Ok(Idempotency::New)
}

/// Whether a request is over and has changed nothing. One of this process is over; on SQLite there is one server, so one
/// of another process was cut off with it; on MySQL that process may live, and the key stays taken.
fn came_to_nothing(store: &Store, row: &AnyRow) -> Result<bool, StoreError> {
    let nothing = row.number_opt::<u16>("status")?.is_none() && row.text_opt("body")?.is_none();
    Ok(nothing && (store.dialect() == Dialect::Sqlite || row.text("process")? == store.process()))
}

fn known(row: &AnyRow, fingerprint: &str) -> Result<Idempotency, StoreError> {
    if row.text("fingerprint")? != fingerprint {
        return Ok(Idempotency::Reused);
    }
    match row.number_opt("status")? {
        Some(status) => Ok(Idempotency::Replay { status, body: row.text_opt("body")?.unwrap_or_default() }),
        None => Ok(match row.json_opt("body")? {
            Some(Noted { app, number }) => Idempotency::Begun { app, number },
            None => Idempotency::InProgress,
        }),
    }
}
