//! Bringing the tables up to date.
//!
//! A schema version is a set of steps, one statement each, named `<version>_<step>_<what>`. MySQL commits every change
//! of a table at once, so a step is recorded by itself, and can be done twice without harm. Tables only grow (expand),
//! and what is unused goes a version later (contract): so a program can run on tables one version newer than its own.

mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use dinp_common::digest::Digest;
use sha2::{Digest as _, Sha256};

use crate::dialect::{Dialect, Durability};
use crate::error::StoreError;
use crate::open::Store;
use crate::row::Columns as _;
use crate::session::{Session, sql};

/// The newest version this program knows.
pub const SCHEMA_VERSION: u64 = 5;

/// Seconds another process may take for its migration before this one gives up.
const LOCK: &str = "SELECT GET_LOCK('dinp-migration', 8) AS locked";
const UNLOCK: &str = "SELECT RELEASE_LOCK('dinp-migration') AS released";
const RECORDS: &str =
    "CREATE TABLE IF NOT EXISTS migrations (name VARCHAR(128) NOT NULL PRIMARY KEY, checksum VARCHAR(128) NOT NULL)";

struct Step {
    name: &'static str,
    text: &'static str,
}

impl Step {
    fn adds_a_column(&self) -> bool {
        self.text.contains(" ADD COLUMN ")
    }

    fn checksum(&self) -> String {
        Digest::from_sha256(Sha256::digest(self.text.as_bytes()).into()).to_string()
    }
}

fn steps_of(dialect: Dialect) -> &'static [Step] {
    match dialect {
        Dialect::Sqlite => steps::SQLITE,
        Dialect::MySql => steps::MYSQL,
    }
}

fn version_of(name: &str) -> Option<u64> {
    name.split('_').next()?.parse().ok()
}

impl Store {
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        match self.dialect() {
            Dialect::Sqlite => {
                let mut session = self.writing_unordered(Durability::Durable).await?;
                let result = apply(&mut session, self.dialect()).await;
                session.end(result).await
            }
            Dialect::MySql => {
                let mut session = self.single_with(Durability::Durable).await?;
                let locked = session.row(sql(LOCK)).await?.map(|row| row.number_opt::<i64>("locked")).transpose()?;
                if locked.flatten() != Some(1) {
                    return Err(StoreError::unavailable("another server is still changing the tables"));
                }
                let result = apply(&mut session, self.dialect()).await;
                session.row(sql(UNLOCK)).await?;
                result
            }
        }
    }
}

async fn apply(session: &mut Session, dialect: Dialect) -> Result<(), StoreError> {
    session.plain(RECORDS).await?;
    let done = recorded(session).await?;
    let found = done.keys().filter_map(|name| version_of(name)).max().unwrap_or(0);
    if found > SCHEMA_VERSION + 1 {
        return Err(StoreError::Newer { found, known: SCHEMA_VERSION });
    }
    for step in steps_of(dialect) {
        match done.get(step.name) {
            Some(checksum) if *checksum == step.checksum() => {}
            Some(_) => return Err(StoreError::Schema { why: format!("step {} was another when it was applied", step.name) }),
            None => {
                match session.plain(step.text).await {
                    // MySQL has no way to add a column only if it is missing: a server that died before it recorded the
                    // step has added it.
                    Err(StoreError::Conflict { .. }) if step.adds_a_column() => {}
                    result => result?,
                }
                let record = sql("INSERT INTO migrations (name, checksum) VALUES (?, ?)");
                session.execute(record.bind(step.name).bind(step.checksum())).await?;
            }
        }
    }
    Ok(())
}

async fn recorded(session: &mut Session) -> Result<BTreeMap<String, String>, StoreError> {
    let rows = session.rows(sql("SELECT name, checksum FROM migrations")).await?;
    rows.iter().map(|row| Ok((row.text("name")?, row.text("checksum")?))).collect()
}
