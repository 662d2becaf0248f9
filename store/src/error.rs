//! What can go wrong with the store, as far as a caller branches on it.

use dinp_common::name::AppName;
use dinp_common::release::ReleaseNo;
use sqlx::error::ErrorKind;
use sqlx::mysql::MySqlDatabaseError;

/// Why the store did not do what it was asked to. Nothing was written, except where [`StoreError::OutcomeUnknown`] says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is too slow, or has no room. Another try later may work.
    #[error("the database is not available: {why}")]
    Unavailable { why: String },
    /// The commit was sent and no answer came: look what is stored before trying again.
    #[error("the database did not answer a commit, which may have been done: {why}")]
    OutcomeUnknown { why: String },
    /// The lease belongs to another epoch or holder.
    #[error("this server no longer leads: another holds the lease")]
    Fenced,
    /// What is stored contradicts the request.
    #[error("{why}")]
    Conflict { why: String },
    #[error("{what} does not exist")]
    NotFound { what: String },
    /// The state file is not a database, or its pages contradict each other.
    #[error(
        "the state file is damaged: {why}. Running apps are not touched. Restore the file from a backup, or move it away and \
         start anew (`dinp up --purge` removes everything of DINP's)"
    )]
    Corrupt { why: String },
    /// A newer program has changed the tables more than once since this one was built.
    #[error(
        "the database has schema version {found}, and this program reads up to {}: start the newer program again, or restore \
         the backup made before it", known + 1
    )]
    Newer { found: u64, known: u64 },
    /// The tables are not as this program made them.
    #[error("the database's tables are not as this program made them: {why}")]
    Schema { why: String },
    /// A value was written by hand, or by a newer program, and cannot be understood.
    #[error("{column} of a stored record cannot be read: {why}")]
    Unreadable { column: String, why: String },
}

/// Why an intent was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntentError {
    #[error("there is no app named {app}")]
    NotFound { app: AppName },
    /// The app is a tombstone; its name is free once every node has let go of it.
    #[error("{app} is being deleted")]
    Deleting { app: AppName },
    /// Somebody changed the app since the caller read it.
    #[error("{app} has changed meanwhile: revision {current}, not {expected}")]
    Revision { app: AppName, expected: u64, current: u64 },
    /// A new release went live since the caller read the one it builds on.
    #[error("{base} of {app} does not serve any more: another release went live meanwhile")]
    Live { app: AppName, base: ReleaseNo },
    #[error(transparent)]
    Store(#[from] StoreError),
}

// SQLite's primary result codes: https://sqlite.org/rescode.html
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_FULL: u32 = 13;
const SQLITE_NOTADB: u32 = 26;

impl StoreError {
    pub(crate) fn unavailable(why: impl Into<String>) -> Self {
        Self::Unavailable { why: why.into() }
    }

    pub(crate) fn unreadable(column: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unreadable { column: column.into(), why: why.into() }
    }

    /// Whether another try later, with nothing changed, may work.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::OutcomeUnknown { .. } => true,
            Self::Fenced
            | Self::Conflict { .. }
            | Self::NotFound { .. }
            | Self::Corrupt { .. }
            | Self::Newer { .. }
            | Self::Schema { .. }
            | Self::Unreadable { .. } => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => from_database(database.as_ref()),
            sqlx::Error::ColumnNotFound(column) => Self::Schema { why: format!("the column {column} is missing") },
            sqlx::Error::ColumnDecode { index, source } => Self::unreadable(index, source.to_string()),
            sqlx::Error::PoolTimedOut => Self::unavailable("no connection was made in time"),
            other => Self::unavailable(other.to_string()),
        }
    }
}

fn from_database(error: &(dyn sqlx::error::DatabaseError + 'static)) -> StoreError {
    if !matches!(error.kind(), ErrorKind::Other) {
        return StoreError::Conflict { why: format!("a rule of the tables forbids it: {}", error.message()) };
    }
    if let Some(mysql) = error.try_downcast_ref::<MySqlDatabaseError>() {
        // 1054: no such column, 1060: a column that is there already, 1146: no such table, 1406: a text too long for its column.
        return match mysql.number() {
            1054 | 1146 => StoreError::Schema { why: mysql.message().to_owned() },
            1060 | 1406 => StoreError::Conflict { why: mysql.message().to_owned() },
            number => StoreError::unavailable(format!("error {number}: {}", mysql.message())),
        };
    }
    let why = error.message().to_owned();
    let code = error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or_default();
    match code & 0xff {
        SQLITE_CORRUPT | SQLITE_NOTADB => StoreError::Corrupt { why },
        SQLITE_FULL => StoreError::unavailable("the disk is full; make room, and it goes on by itself"),
        SQLITE_BUSY | SQLITE_LOCKED => {
            StoreError::unavailable("another process holds the state file; is a second server running on it?")
        }
        _ => StoreError::unavailable(why),
    }
}
