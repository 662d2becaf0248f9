//! Opening a store.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use dinp_common::name::ClusterId;
use sqlx::any::AnyConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::dialect::{Dialect, Durability};
use crate::error::StoreError;
use crate::kept::Kept;
use crate::pool::Pool;
use crate::row::Columns as _;
use crate::session::{QUERY_DEADLINE, sql};
use crate::url::StoreUrl;

/// A state file up to this size is checked as a whole when it is opened, which takes about 100 ms for 64 MiB. A
/// larger one shows its damage when a damaged page is read.
const CHECK_BYTES: u64 = 64 * 1024 * 1024;

/// A handle on the store; clones share its connections.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    dialect: Dialect,
    /// Read once, when the tables are there.
    cluster: OnceLock<ClusterId>,
    /// Names this process among those that have opened the store.
    process: String,
    progress: Pool,
    durable: Pool,
    kept: Kept,
    /// SQLite has one writer; waiting here is fair, and waiting in SQLite is not.
    writer: Option<Arc<Semaphore>>,
}

impl Store {
    /// Opens the store, makes it if it is a file that does not exist, and brings its tables up to date.
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let dialect = Dialect::of(url);
        let inner = Inner {
            dialect,
            cluster: OnceLock::new(),
            process: crate::meta::draw(),
            progress: Pool::new(url, Durability::Progress)?,
            durable: Pool::new(url, Durability::Durable)?,
            kept: Kept::default(),
            writer: match dialect {
                Dialect::Sqlite => Some(Arc::new(Semaphore::new(1))),
                Dialect::MySql => None,
            },
        };
        let store = Self { inner: Arc::new(inner) };
        if let StoreUrl::Sqlite(path) = url {
            create_file(path)?;
            check_file(url, path).await?;
        }
        store.migrate().await?;
        let cluster = store.cluster_settle().await?;
        let _first = store.inner.cluster.set(cluster);
        store.instance_ids_skip_after_boot().await?;
        Ok(store)
    }

    pub fn dialect(&self) -> Dialect {
        self.inner.dialect
    }

    /// The cluster's name, drawn when the store was made.
    pub fn cluster(&self) -> ClusterId {
        let cluster = self.inner.cluster.get().cloned();
        cluster.expect("open() answers a store only after its cluster is known")
    }

    pub(crate) fn process(&self) -> &str {
        &self.inner.process
    }

    pub(crate) fn pool(&self, durability: Durability) -> &Pool {
        match durability {
            Durability::Progress => &self.inner.progress,
            Durability::Durable => &self.inner.durable,
        }
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.inner.kept
    }

    pub(crate) async fn writer_permit(&self) -> Option<OwnedSemaphorePermit> {
        let writer = self.inner.writer.clone()?;
        // The semaphore is never closed, so there is always a permit in the end.
        writer.acquire_owned().await.ok()
    }
}

/// Reads the file on a connection of its own: the pool would try a damaged file again and again until its time is up.
async fn check_file(url: &StoreUrl, path: &Path) -> Result<(), StoreError> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() > CHECK_BYTES) {
        return Ok(());
    }
    let verdict = match timeout(QUERY_DEADLINE, quick_check(url)).await {
        Ok(verdict) => verdict,
        Err(_) => return Err(StoreError::unavailable(format!("{} could not be read in time", path.display()))),
    };
    let why = match verdict {
        Ok(verdict) if verdict == "ok" => return Ok(()),
        Ok(verdict) => verdict,
        Err(StoreError::Corrupt { why }) => why,
        Err(other) => return Err(other),
    };
    Err(StoreError::Corrupt { why: format!("{}: {why}", path.display()) })
}

async fn quick_check(url: &StoreUrl) -> Result<String, StoreError> {
    let options: AnyConnectOptions = url.for_driver().parse()?;
    let mut connection = options.disable_statement_logging().connect().await?;
    let row = sql("PRAGMA quick_check(1)").fetch_one(&mut connection).await?;
    let verdict = row.text("quick_check")?;
    connection.close().await?;
    Ok(verdict)
}

/// Makes the file readable by its owner only: it holds environments and credentials' hashes. SQLite gives its journal
/// the same mode.
fn create_file(path: &Path) -> Result<(), StoreError> {
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    opened.map(|_| ()).map_err(|error| StoreError::unavailable(format!("{} cannot be opened: {error}", path.display())))
}

#[cfg(test)]
mod tests;
