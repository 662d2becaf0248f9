//! The quarantine of addresses: no request may reach the wrong app.
//!
//! An address is used while its instance has a container, then cools until the server says that no router can send
//! to it any more, then is free. Free addresses are given out longest unused first. The table survives restarts and
//! reboots: it is on disk before a container starts at an address it gave.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use dinp_common::instance::InstanceId;
use dinp_common::limits::INSTANCES_PER_NODE;
use serde::{Deserialize, Serialize};

/// The addresses that may be given out, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub first: Ipv4Addr,
    pub last: Ipv4Addr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    range: Range,
    leases: BTreeMap<InstanceId, Lease>,
    /// The revision at which an address was last given back. One that was never given out is not in here.
    returned: BTreeMap<Ipv4Addr, u64>,
    /// Grows with every change.
    revision: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lease {
    address: Ipv4Addr,
    cooling: bool,
}

/// Why no address can be had now, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no address is free on this node: {used} are in use and {cooling} wait until no router can send to them")]
pub struct NoAddress {
    pub used: usize,
    pub cooling: usize,
}

impl Range {
    fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }

    fn len(self) -> usize {
        (u32::from(self.last) - u32::from(self.first)) as usize + 1
    }
}

impl Addresses {
    pub fn new(range: Range) -> Self {
        Self { range, leases: BTreeMap::new(), returned: BTreeMap::new(), revision: 0 }
    }

    /// Before there is a network: nothing can be given out.
    pub fn nowhere() -> Self {
        Self::new(Range { first: Ipv4Addr::UNSPECIFIED, last: Ipv4Addr::UNSPECIFIED })
    }

    /// Goes over to another range, as after the network had to be made anew. Addresses outside it stay with their
    /// instances until released, and are then never given out again.
    pub fn move_to(&mut self, range: Range) {
        if self.range != range {
            self.range = range;
            self.returned.retain(|address, _| range.contains(*address));
            self.revision += 1;
        }
    }

    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The address of an instance that has, or is about to have, a container.
    pub fn used_by(&self, instance: &InstanceId) -> Option<Ipv4Addr> {
        self.leases.get(instance).filter(|lease| !lease.cooling).map(|lease| lease.address)
    }

    /// Instances that have an address and a container, or are about to.
    pub fn users(&self) -> impl Iterator<Item = &InstanceId> {
        self.leases.iter().filter(|(_, lease)| !lease.cooling).map(|(instance, _)| instance)
    }

    pub fn cooling(&self) -> Vec<InstanceId> {
        self.leases.iter().filter(|(_, lease)| lease.cooling).map(|(instance, _)| instance.clone()).collect()
    }

    /// Instances this node can hold at once, addresses in quarantine taken off.
    pub fn capacity(&self) -> u32 {
        let cooling = self.leases.values().filter(|lease| lease.cooling && self.range.contains(lease.address)).count();
        if self.range.first.is_unspecified() {
            return 0;
        }
        u32::try_from(self.range.len() - cooling).unwrap_or(u32::MAX).min(INSTANCES_PER_NODE)
    }

    /// The instance's own address if it has one, else the free one that was unused for longest. Its own may still
    /// cool: what routers send to it is meant for this very instance.
    pub fn take(&mut self, instance: &InstanceId) -> Result<Ipv4Addr, NoAddress> {
        if let Some(address) = self.used_by(instance) {
            return Ok(address);
        }
        let used = self.users().count();
        let none = NoAddress { used, cooling: self.leases.len() - used };
        if used >= INSTANCES_PER_NODE as usize {
            return Err(none);
        }
        let address = match self.leases.get(instance) {
            Some(lease) => lease.address,
            None => self.longest_unused().ok_or(none)?,
        };
        self.leases.insert(instance.clone(), Lease { address, cooling: false });
        self.revision += 1;
        Ok(address)
    }

    /// Takes in a container that is at an address this table knows nothing of. False if another instance has it.
    pub fn adopt(&mut self, instance: &InstanceId, address: Ipv4Addr) -> bool {
        let lease = Lease { address, cooling: false };
        if self.leases.get(instance) == Some(&lease) {
            return true;
        }
        if self.leases.iter().any(|(other, lease)| other != instance && lease.address == address) {
            return false;
        }
        self.leases.insert(instance.clone(), lease);
        self.revision += 1;
        true
    }

    /// The instance's container is gone.
    pub fn cool(&mut self, instance: &InstanceId) {
        if let Some(lease) = self.leases.get_mut(instance).filter(|lease| !lease.cooling) {
            lease.cooling = true;
            self.revision += 1;
        }
    }

    /// Every recorded router has confirmed the withdrawal of these instances. One that still has a container keeps
    /// its address: the word was about an earlier time.
    pub fn release<'a>(&mut self, released: impl IntoIterator<Item = &'a InstanceId>) {
        for instance in released {
            let Some(lease) = self.leases.get(instance).copied().filter(|lease| lease.cooling) else { continue };
            self.leases.remove(instance);
            self.revision += 1;
            if self.range.contains(lease.address) {
                self.returned.insert(lease.address, self.revision);
            }
        }
    }

    fn longest_unused(&self) -> Option<Ipv4Addr> {
        let taken: BTreeSet<Ipv4Addr> = self.leases.values().map(|lease| lease.address).collect();
        (u32::from(self.range.first)..=u32::from(self.range.last))
            .map(Ipv4Addr::from)
            .filter(|address| !taken.contains(address))
            .min_by_key(|address| (self.returned.get(address).copied().unwrap_or(0), *address))
    }
}

#[cfg(test)]
mod tests;
