//! Whose assignments a node takes.

use dinp_common::fence::{Fence, FenceRefusal};
use dinp_common::name::ClusterId;
use serde::{Deserialize, Serialize};

/// The highest fence a node has accepted, and with it the cluster it belongs to. Kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    highest: Fence,
}

/// What an accepted fence asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// Seen before.
    Known,
    /// New: it must be on disk before anything is done in its name.
    Raised,
}

impl Gate {
    /// A node that has joined `cluster` and heard no leader yet.
    pub fn joined(cluster: ClusterId) -> Self {
        Self { highest: Fence { cluster, epoch: 0, holder: String::new() } }
    }

    pub fn cluster(&self) -> &ClusterId {
        &self.highest.cluster
    }

    /// The highest fence, with epoch 0 and no holder before the first.
    pub fn highest(&self) -> &Fence {
        &self.highest
    }

    /// The highest fence, once a leader was heard.
    pub fn accepted(&self) -> Option<&Fence> {
        (self.highest.epoch > 0).then_some(&self.highest)
    }

    pub fn admit(&mut self, offered: &Fence) -> Result<Admitted, FenceRefusal> {
        self.highest.admits(offered)?;
        if self.highest == *offered {
            return Ok(Admitted::Known);
        }
        self.highest = offered.clone();
        Ok(Admitted::Raised)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_fence_is_refused_after_a_higher_one() {
        let cluster = ClusterId::parse("cl").expect("cluster");
        let fence = |epoch, holder: &str| Fence { cluster: cluster.clone(), epoch, holder: holder.to_owned() };
        let mut gate = Gate::joined(cluster.clone());
        assert_eq!(gate.accepted(), None);
        assert_eq!(gate.admit(&fence(3, "a")), Ok(Admitted::Raised));
        assert_eq!(gate.admit(&fence(3, "a")), Ok(Admitted::Known));
        assert_eq!(gate.admit(&fence(2, "b")), Err(FenceRefusal::Older { offered: 2, highest: 3 }));
        assert_eq!(gate.admit(&fence(3, "b")), Err(FenceRefusal::OtherHolder { epoch: 3 }));
        assert_eq!(gate.accepted(), Some(&fence(3, "a")));
        let foreign = Fence { cluster: ClusterId::parse("other").expect("cluster"), epoch: 9, holder: "x".into() };
        assert!(matches!(gate.admit(&foreign), Err(FenceRefusal::OtherCluster { .. })));
    }
}
