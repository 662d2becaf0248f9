//! The fencing token that every write, assignment and route update carries.

use serde::{Deserialize, Serialize};

use crate::name::ClusterId;

/// Who leads, and since which election. Receivers remember the highest they have seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fence {
    pub cluster: ClusterId,
    /// Grows by at least one at every change of leader.
    pub epoch: u64,
    /// The server process that holds the epoch; random for each process.
    pub holder: String,
}

/// The lease as somebody saw it in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// 0 before the first leader.
    pub epoch: u64,
    pub holder: String,
    /// Raised by every renewal and every commit of the holder.
    pub counter: u64,
}

impl LeaseRow {
    /// The counter of a lease nobody holds; a held one counts from 1.
    pub const RELEASED: u64 = 0;

    /// Nobody holds it: it may be taken at once.
    pub fn is_released(&self) -> bool {
        self.counter == Self::RELEASED
    }
}

/// Why a receiver refuses a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "why")]
pub enum FenceRefusal {
    #[error("this belongs to cluster {theirs}, not to {ours}")]
    OtherCluster { ours: ClusterId, theirs: ClusterId },
    #[error("epoch {offered} is older than epoch {highest}, which was seen before")]
    Older { offered: u64, highest: u64 },
    #[error("epoch {epoch} belongs to another holder")]
    OtherHolder { epoch: u64 },
}

impl Fence {
    /// Whether a receiver that has seen `self` accepts `offered`: the same cluster, and a higher epoch or the same
    /// epoch by the same holder.
    pub fn admits(&self, offered: &Fence) -> Result<(), FenceRefusal> {
        if self.cluster != offered.cluster {
            return Err(FenceRefusal::OtherCluster { ours: self.cluster.clone(), theirs: offered.cluster.clone() });
        }
        if offered.epoch < self.epoch {
            return Err(FenceRefusal::Older { offered: offered.epoch, highest: self.epoch });
        }
        if offered.epoch == self.epoch && offered.holder != self.holder {
            return Err(FenceRefusal::OtherHolder { epoch: self.epoch });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence(cluster: &str, epoch: u64, holder: &str) -> Fence {
        Fence { cluster: ClusterId::parse(cluster).expect("cluster"), epoch, holder: holder.to_owned() }
    }

    #[test]
    fn lower_epochs_and_second_holders_are_refused() {
        let seen = fence("c", 5, "a");
        assert_eq!(seen.admits(&fence("c", 5, "a")), Ok(()));
        assert_eq!(seen.admits(&fence("c", 6, "b")), Ok(()));
        assert_eq!(seen.admits(&fence("c", 4, "a")), Err(FenceRefusal::Older { offered: 4, highest: 5 }));
        assert_eq!(seen.admits(&fence("c", 5, "b")), Err(FenceRefusal::OtherHolder { epoch: 5 }));
        assert!(matches!(seen.admits(&fence("d", 9, "a")), Err(FenceRefusal::OtherCluster { .. })));
    }
}
