//! Who leads: one row with an epoch, a holder and a counter.
//!
//! The database compares no times. A challenger watches the counter on its own clock and takes the lease by
//! compare-and-set on what it saw; the holder raises the counter. See DESIGN 7.

use dinp_common::fence::{Fence, LeaseRow};

use crate::dialect::Durability;
use crate::error::StoreError;
use crate::open::Store;
use crate::row::{Columns as _, long};
use crate::session::{Session, sql};

impl Store {
    pub async fn lease_read(&self) -> Result<LeaseRow, StoreError> {
        let mut session = self.single().await?;
        let result = lease_row(&mut session).await;
        session.end(result).await
    }

    /// Takes the lease if it still is as `seen`, with an epoch of at least `at_least` (one above the highest any
    /// agent or router has refused). `None`: somebody else was faster, or the holder lives.
    pub async fn lease_take(&self, seen: &LeaseRow, holder: &str, at_least: u64) -> Result<Option<Fence>, StoreError> {
        let epoch = at_least.max(seen.epoch + 1);
        let mut session = self.single_with(Durability::Durable).await?;
        let query =
            sql("UPDATE lease SET epoch = ?, holder = ?, counter = 1 WHERE id = 1 AND epoch = ? AND holder = ? AND counter = ?");
        let query = query.bind(long(epoch)).bind(holder).bind(long(seen.epoch)).bind(&seen.holder).bind(long(seen.counter));
        let result = session.execute(query).await;
        let taken = session.end(result).await? == 1;
        Ok(taken.then(|| Fence { cluster: self.cluster(), epoch, holder: holder.to_owned() }))
    }

    /// Raises the counter; `false` if the lease is not this holder's any more.
    pub async fn lease_renew(&self, fence: &Fence) -> Result<bool, StoreError> {
        let mut session = self.single().await?;
        let result = session.lease_touch(fence).await;
        session.end(result).await
    }

    /// Gives the lease up, so that the next server need not wait. Without effect if it is not this holder's.
    pub async fn lease_release(&self, fence: &Fence) -> Result<(), StoreError> {
        let mut session = self.single().await?;
        let query = sql("UPDATE lease SET counter = 0 WHERE id = 1 AND epoch = ? AND holder = ?");
        let result = session.execute(query.bind(long(fence.epoch)).bind(&fence.holder)).await;
        session.end(result).await.map(|_| ())
    }
}

impl Session {
    /// Proves the lease, and holds its row until the transaction ends.
    pub(crate) async fn lease_touch(&mut self, fence: &Fence) -> Result<bool, StoreError> {
        let query = sql("UPDATE lease SET counter = counter + 1 WHERE id = 1 AND epoch = ? AND holder = ? AND counter > 0");
        Ok(self.execute(query.bind(long(fence.epoch)).bind(&fence.holder)).await? == 1)
    }
}

async fn lease_row(session: &mut Session) -> Result<LeaseRow, StoreError> {
    let row = session.row(sql("SELECT epoch, holder, counter FROM lease WHERE id = 1")).await?;
    let row = row.ok_or_else(|| StoreError::Schema { why: "the lease's row is missing".to_owned() })?;
    Ok(LeaseRow { epoch: row.number("epoch")?, holder: row.text("holder")?, counter: row.number("counter")? })
}
