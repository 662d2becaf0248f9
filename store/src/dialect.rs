//! What differs between SQLite and MySQL. Everything else is one text for both.

use crate::url::StoreUrl;

/// Which database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    MySql,
}

/// How a commit is made safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It may be lost at a power cut, and is found again from reports.
    Progress,
    /// It is on the disk before the call returns.
    Durable,
}

impl Dialect {
    pub fn of(url: &StoreUrl) -> Self {
        match url {
            StoreUrl::Sqlite(_) => Self::Sqlite,
            StoreUrl::MySql(_) => Self::MySql,
        }
    }

    /// Begins a transaction whose reads all see one moment.
    pub(crate) fn begin_snapshot(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN DEFERRED",
            Self::MySql => "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        }
    }

    /// Begins a transaction that writes. SQLite takes its one write lock at once, so that no read in it is stale.
    pub(crate) fn begin_write(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::MySql => "START TRANSACTION READ WRITE",
        }
    }

    /// What a write transaction does to be alone. On MySQL the lock on one row is what `BEGIN IMMEDIATE` is on
    /// SQLite; taken before the first read, it also makes the snapshot of the reads that follow a fresh one.
    pub(crate) fn lock_writers(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::MySql => Some("UPDATE counters SET value = value + 1 WHERE name = 'writer'"),
        }
    }

    /// What a new connection is told. MySQL is durable by its own configuration (`innodb_flush_log_at_trx_commit`).
    pub(crate) fn on_connect(self, durability: Durability) -> &'static [&'static str] {
        match (self, durability) {
            (Self::Sqlite, Durability::Progress) => &[
                "PRAGMA busy_timeout = 5000",
                "PRAGMA foreign_keys = ON",
                "PRAGMA journal_mode = WAL",
                "PRAGMA synchronous = NORMAL",
            ],
            (Self::Sqlite, Durability::Durable) => &[
                "PRAGMA busy_timeout = 5000",
                "PRAGMA foreign_keys = ON",
                "PRAGMA journal_mode = WAL",
                "PRAGMA synchronous = FULL",
            ],
            (Self::MySql, Durability::Progress | Durability::Durable) => &[
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                // A member of a Galera cluster is to answer only when it has all that was committed elsewhere before: a leader
                // that read an older state would place again what it has placed. Only MariaDB reads what stands in `M!`.
                "SET SESSION innodb_lock_wait_timeout = 5 /*M!, wsrep_sync_wait = 7 */",
                "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
            ],
        }
    }
}
