//! A store for one test, empty.

use std::sync::atomic::{AtomicU32, Ordering};

use dinp_store::{Store, StoreUrl};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tempfile::TempDir;

use crate::mariadb;

pub struct Database {
    pub store: Store,
    pub url: StoreUrl,
    /// What a connection past the store needs.
    driver: String,
    _folder: Option<TempDir>,
}

impl Database {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.db");
        let driver = format!("sqlite:{}", path.display());
        Self::open(StoreUrl::Sqlite(path), driver, Some(folder)).await
    }

    pub async fn mariadb() -> Self {
        let driver = mariadb_url(mariadb::port()).await;
        Self::open(driver.parse().expect("an address"), driver, None).await
    }

    async fn open(url: StoreUrl, driver: String, folder: Option<TempDir>) -> Self {
        let store = Store::open(&url).await.expect("opens");
        Self { store, url, driver, _folder: folder }
    }

    /// Another process on the same store.
    pub async fn second(&self) -> Store {
        Store::open(&self.url).await.expect("opens again")
    }

    /// A statement past the store, as a hand in the tables would do it.
    pub async fn by_hand(&self, statement: &str) {
        let mut connection = AnyConnection::connect(&self.driver).await.expect("connects");
        connection.execute(AssertSqlSafe(statement)).await.expect("runs");
        connection.close().await.expect("closes");
    }
}

/// The address of a new database on the server behind this port.
pub async fn mariadb_url(port: u16) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    sqlx::any::install_default_drivers();
    let name = format!("store_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut connection = AnyConnection::connect(&format!("mysql://root@127.0.0.1:{port}/mysql")).await.expect("connects");
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.expect("a database");
    format!("mysql://root@127.0.0.1:{port}/{name}")
}
