//! Facts about the store as a whole, by name.

use dinp_common::name::ClusterId;

use crate::counter::Counter;
use crate::dialect::{Dialect, Durability};
use crate::error::StoreError;
use crate::open::Store;
use crate::row::Columns as _;
use crate::session::{Session, sql};

const CLUSTER: &str = "cluster";
const BOOT: &str = "boot";
/// Changes at every start of the kernel.
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";
/// Instance ids skipped when the machine has been started anew: more than can be placed between two syncs of the
/// disk, and few enough for 16,000 starts before ids come again.
const IDS_SKIPPED: u64 = 65_536;

/// Eight random letters and digits.
pub(crate) fn draw() -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bits: u64 = rand::random();
    (0..8).map(|place| char::from(LETTERS[(bits >> (place * 5)) as usize & 31])).collect()
}

impl Store {
    pub async fn meta_get(&self, name: &str) -> Result<Option<String>, StoreError> {
        let mut session = self.single().await?;
        let result = session.meta(name).await;
        session.end(result).await
    }

    pub async fn meta_set(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = session.meta_put(name, value).await;
        session.end(result).await
    }

    /// The stored cluster id; draws one where the store is new.
    pub(crate) async fn cluster_settle(&self) -> Result<ClusterId, StoreError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = cluster(&mut session).await;
        session.end(result).await
    }

    /// A power cut can take the last commits of SQLite with it, and then ids would be given a second time to other
    /// instances. So the first opening after a start of the machine leaves a gap.
    pub(crate) async fn instance_ids_skip_after_boot(&self) -> Result<(), StoreError> {
        if self.dialect() == Dialect::MySql {
            return Ok(());
        }
        // Where the kernel does not say, every opening counts as a start.
        let boot = std::fs::read_to_string(BOOT_ID_FILE).unwrap_or_else(|_| draw());
        let mut session = self.writing(Durability::Durable).await?;
        let result = skip_ids(&mut session, boot.trim()).await;
        session.end(result).await
    }
}

impl Session {
    async fn meta(&mut self, name: &str) -> Result<Option<String>, StoreError> {
        let row = self.row(sql("SELECT value FROM meta WHERE name = ?").bind(name)).await?;
        row.map(|row| row.text("value")).transpose()
    }

    async fn meta_put(&mut self, name: &str, value: &str) -> Result<(), StoreError> {
        let updated = self.execute(sql("UPDATE meta SET value = ? WHERE name = ?").bind(value).bind(name)).await?;
        if updated == 0 {
            self.execute(sql("INSERT INTO meta (name, value) VALUES (?, ?)").bind(name).bind(value)).await?;
        }
        Ok(())
    }
}

async fn cluster(session: &mut Session) -> Result<ClusterId, StoreError> {
    if session.meta(CLUSTER).await?.is_none() {
        session.meta_put(CLUSTER, &draw()).await?;
    }
    let stored = session.meta(CLUSTER).await?.unwrap_or_default();
    ClusterId::parse(&stored).map_err(|error| StoreError::unreadable(CLUSTER, error.to_string()))
}

async fn skip_ids(session: &mut Session, boot: &str) -> Result<(), StoreError> {
    let before = session.meta(BOOT).await?;
    if before.as_deref() == Some(boot) {
        return Ok(());
    }
    if before.is_some() {
        let given = session.counter(Counter::Instance).await?;
        session.counter_raise(Counter::Instance, given + IDS_SKIPPED).await?;
    }
    session.meta_put(BOOT, boot).await
}
