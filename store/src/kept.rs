//! The last whole read, kept for as long as it is certain that nothing has been written since.
//!
//! The leader reads everything every second, and on an idle machine it is always the same. SQLite can tell: on one
//! connection `PRAGMA data_version` answers another number once any other connection has committed anything, in this
//! process or in another one (<https://www.sqlite.org/pragma.html#pragma_data_version>). The connection kept here never
//! writes, and numbers of different connections are never compared: read and connection are kept together, and lost
//! together at the first failure.

use std::sync::{Mutex, PoisonError};

use dinp_common::plan::Desired;

use crate::desired::load;
use crate::error::StoreError;
use crate::open::Store;
use crate::row::Columns as _;
use crate::session::{Session, sql};

/// Empty before the first read and after a failed one.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Option<Read>>);

struct Read {
    session: Session,
    /// What the connection said in the transaction that read `desired`.
    version: i64,
    desired: Desired,
}

impl Kept {
    /// Whoever takes it has it alone; another reader meanwhile finds nothing and reads for itself.
    fn take(&self) -> Option<Read> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps a read, and answers it.
    fn put(&self, read: Read) -> Desired {
        let desired = read.desired.clone();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(read);
        desired
    }
}

impl Store {
    /// The kept read where it still holds, and a new one where it does not.
    pub(crate) async fn desired_kept(&self) -> Result<Desired, StoreError> {
        let session = match self.kept().take() {
            Some(mut read) => {
                read.session.renew();
                if version(&mut read.session).await? == read.version {
                    return Ok(self.kept().put(read));
                }
                read.session
            }
            None => self.single().await?,
        };
        read(self, session).await.map(|read| self.kept().put(read))
    }
}

async fn read(store: &Store, mut session: Session) -> Result<Read, StoreError> {
    session.begin_snapshot(store).await?;
    let result = version_and_desired(&mut session).await;
    let (version, desired) = session.end_transaction(result).await?;
    Ok(Read { session, version, desired })
}

/// In one transaction, so that the version is that of what was read.
async fn version_and_desired(session: &mut Session) -> Result<(i64, Desired), StoreError> {
    Ok((version(session).await?, load(session).await?))
}

async fn version(session: &mut Session) -> Result<i64, StoreError> {
    let row = session.row(sql("PRAGMA data_version")).await?;
    row.ok_or_else(|| StoreError::unreadable("data_version", "SQLite does not say".to_owned()))?.number("data_version")
}

#[cfg(test)]
mod tests;
