//! What the leader decided, written in one transaction that begins by proving the lease.

use dinp_common::fence::Fence;
use dinp_common::plan::Change;

use crate::dialect::Durability;
use crate::error::StoreError;
use crate::open::Store;
use crate::session::Session;

impl Store {
    /// Writes all changes, or none. [`StoreError::Fenced`]: another server leads, and nothing was written.
    ///
    /// A change that a newer request of people's has overtaken is left out: an end of a deploy that has ended, a live
    /// release that the latest deploy does not lead to, an instance of an app that is gone.
    pub async fn commit(&self, fence: &Fence, changes: &[Change]) -> Result<(), StoreError> {
        if fence.cluster != self.cluster() {
            return Err(StoreError::Fenced);
        }
        let mut session = self.writing_unordered(Durability::Progress).await?;
        let result = write(self, &mut session, fence, changes).await;
        session.end(result).await
    }
}

async fn write(store: &Store, session: &mut Session, fence: &Fence, changes: &[Change]) -> Result<(), StoreError> {
    if !session.lease_touch(fence).await? {
        return Err(StoreError::Fenced);
    }
    session.wait_for_turn(store).await?;
    for change in changes {
        session.change(change).await?;
    }
    Ok(())
}
