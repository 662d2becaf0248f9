//! Route tables that certify themselves.
//!
//! A leader turns the routes it wants into versions, each with a certificate: epoch, version, count and a hash over
//! the set of routes. A router takes a table only if the certificate fits the result and nothing newer was seen.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use dinp_common::fence::{Fence, FenceRefusal};
use dinp_common::instance::InstanceId;
use dinp_common::name::Host;
use dinp_common::route::{Route, RouteTable, RouteUpdate, TableCert, TableVersion};
use sha2::{Digest as _, Sha256};

/// A hash of a set: the sum of its members' hashes, so that one change costs one member, not the whole table.
/// It guards against accidents (half-applied, mixed and stale tables), not against forgers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetHash([u64; 4]);

impl SetHash {
    pub fn add(&mut self, route: &Route) {
        for (sum, part) in self.0.iter_mut().zip(route_hash(route)) {
            *sum = sum.wrapping_add(part);
        }
    }

    pub fn remove(&mut self, route: &Route) {
        for (sum, part) in self.0.iter_mut().zip(route_hash(route)) {
            *sum = sum.wrapping_sub(part);
        }
    }

    pub fn of<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Self {
        let mut hash = Self::default();
        routes.into_iter().for_each(|route| hash.add(route));
        hash
    }

    pub fn to_hex(self) -> String {
        self.0.iter().map(|part| format!("{part:016x}")).collect()
    }
}

fn route_hash(route: &Route) -> [u64; 4] {
    let json = serde_json::to_vec(route).expect("a route is plain data and always encodes");
    let digest = Sha256::digest(&json);
    let mut parts = [0u64; 4];
    for (part, bytes) in parts.iter_mut().zip(digest.chunks_exact(8)) {
        *part = u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
    }
    parts
}

/// The leader's side: wanted routes in, certified updates out.
#[derive(Debug, Clone)]
pub struct Publisher {
    fence: Fence,
    version: u64,
    table: RouteTable,
    hash: SetHash,
    /// For instances that this leader has routed and withdrawn: the version they were first absent from.
    absent_since: BTreeMap<InstanceId, u64>,
    /// For those it routes: where to, and the version from which it is there.
    present_since: BTreeMap<InstanceId, (SocketAddr, u64)>,
}

impl Publisher {
    pub fn new(fence: Fence) -> Self {
        Self {
            fence,
            version: 0,
            table: RouteTable::new(),
            hash: SetHash::default(),
            absent_since: BTreeMap::new(),
            present_since: BTreeMap::new(),
        }
    }

    /// Makes `wanted` the table. The first call always gives a version, since routers must learn of the new epoch;
    /// later ones give `None` when nothing changed.
    pub fn publish(&mut self, wanted: &RouteTable) -> Option<RouteUpdate> {
        let put: Vec<Route> = wanted.values().filter(|route| self.table.get(&route.host) != Some(*route)).cloned().collect();
        let remove: Vec<Host> = self.table.keys().filter(|host| !wanted.contains_key(*host)).cloned().collect();
        if self.version > 0 && put.is_empty() && remove.is_empty() {
            return None;
        }
        let base = self.at();
        for host in &remove {
            if let Some(old) = self.table.remove(host) {
                self.hash.remove(&old);
            }
        }
        for route in &put {
            if let Some(old) = self.table.insert(route.host.clone(), route.clone()) {
                self.hash.remove(&old);
            }
            self.hash.add(route);
        }
        self.version += 1;
        self.note_presence();
        if base.version == 0 { Some(self.full()) } else { Some(RouteUpdate::Delta { base, cert: self.cert(), put, remove }) }
    }

    /// The whole table as it is, for a router that joins or lost its place.
    pub fn full(&self) -> RouteUpdate {
        RouteUpdate::Full { cert: self.cert(), routes: self.table.values().cloned().collect() }
    }

    pub fn cert(&self) -> TableCert {
        TableCert { fence: self.fence.clone(), version: self.version, count: self.table.len() as u64, hash: self.hash.to_hex() }
    }

    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    pub fn at(&self) -> TableVersion {
        TableVersion { epoch: self.fence.epoch, version: self.version }
    }

    pub fn table(&self) -> &RouteTable {
        &self.table
    }

    /// The version from which the instance is in the table at the address it has there now; `None` if it is not.
    pub fn present_since(&self, instance: &InstanceId) -> Option<TableVersion> {
        self.present_since.get(instance).map(|(_, version)| self.version_at(*version))
    }

    /// The version from which the instance is in no route. Instances this leader never routed are absent from its
    /// first version on. `None` while it is routed, or before the first version.
    pub fn absent_since(&self, instance: &InstanceId) -> Option<TableVersion> {
        if self.version == 0 || self.present_since.contains_key(instance) {
            return None;
        }
        Some(self.version_at(self.absent_since.get(instance).copied().unwrap_or(1)))
    }

    /// Forgets an instance whose record is gone.
    pub fn forget(&mut self, instance: &InstanceId) {
        self.absent_since.remove(instance);
    }

    fn version_at(&self, version: u64) -> TableVersion {
        TableVersion { epoch: self.fence.epoch, version }
    }

    fn note_presence(&mut self) {
        let endpoints = self.table.values().flat_map(|route| &route.endpoints);
        let now: BTreeMap<&InstanceId, SocketAddr> = endpoints.map(|endpoint| (&endpoint.instance, endpoint.address)).collect();
        let gone: Vec<InstanceId> = self.present_since.keys().filter(|id| !now.contains_key(id)).cloned().collect();
        // Who moved is as new to a router as who was not there.
        let is_there = |id: &InstanceId, at: SocketAddr| self.present_since.get(id).is_some_and(|(known, _)| *known == at);
        let new = now.into_iter().filter(|(id, at)| !is_there(id, *at));
        let new: Vec<(InstanceId, SocketAddr)> = new.map(|(id, at)| (id.clone(), at)).collect();
        for id in gone {
            self.present_since.remove(&id);
            self.absent_since.insert(id, self.version);
        }
        for (id, at) in new {
            self.absent_since.remove(&id);
            self.present_since.insert(id, (at, self.version));
        }
    }
}

/// Why a router does not take a table. It keeps the one it has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableRefusal {
    #[error(transparent)]
    Fence(#[from] FenceRefusal),
    #[error("version {offered:?} is not newer than {have:?}")]
    NotNewer { offered: TableVersion, have: TableVersion },
    /// The delta starts from another version: the whole table is needed.
    #[error("the change starts from {base:?}, and the table is at {have:?}")]
    Gap { base: TableVersion, have: Option<TableVersion> },
    #[error("the certificate says {certified} routes with hash {hash}, and the table has {found}: damaged or half written")]
    Uncertified { certified: u64, found: u64, hash: String },
}

/// The router's side: only whole, certified, newer tables get in.
#[derive(Debug, Clone, Default)]
pub struct Applier {
    current: Option<(TableCert, RouteTable)>,
    hash: SetHash,
}

impl Applier {
    pub fn cert(&self) -> Option<&TableCert> {
        self.current.as_ref().map(|(cert, _)| cert)
    }

    pub fn at(&self) -> Option<TableVersion> {
        self.cert().map(TableCert::at)
    }

    pub fn table(&self) -> Option<&RouteTable> {
        self.current.as_ref().map(|(_, table)| table)
    }

    /// Takes an update, or says why not and changes nothing. `Ok(false)`: it is the table that is here already.
    pub fn apply(&mut self, update: &RouteUpdate) -> Result<bool, TableRefusal> {
        let cert = update.cert();
        if let Some((seen, _)) = &self.current {
            seen.fence.admits(&cert.fence)?;
            if seen == cert {
                return Ok(false);
            }
            if cert.at() <= seen.at() {
                return Err(TableRefusal::NotNewer { offered: cert.at(), have: seen.at() });
            }
        }
        let (table, hash) = match update {
            RouteUpdate::Full { routes, .. } => {
                let table: RouteTable = routes.iter().map(|route| (route.host.clone(), route.clone())).collect();
                let hash = SetHash::of(table.values());
                (table, hash)
            }
            RouteUpdate::Delta { base, put, remove, .. } => self.patched(*base, put, remove)?,
        };
        if table.len() as u64 != cert.count || hash.to_hex() != cert.hash {
            let (certified, found) = (cert.count, table.len() as u64);
            return Err(TableRefusal::Uncertified { certified, found, hash: cert.hash.clone() });
        }
        self.current = Some((cert.clone(), table));
        self.hash = hash;
        Ok(true)
    }

    fn patched(&self, base: TableVersion, put: &[Route], remove: &[Host]) -> Result<(RouteTable, SetHash), TableRefusal> {
        let Some((_, table)) = self.current.as_ref().filter(|(cert, _)| cert.at() == base) else {
            return Err(TableRefusal::Gap { base, have: self.at() });
        };
        let (mut table, mut hash) = (table.clone(), self.hash);
        for host in remove {
            if let Some(old) = table.remove(host) {
                hash.remove(&old);
            }
        }
        for route in put {
            if let Some(old) = table.insert(route.host.clone(), route.clone()) {
                hash.remove(&old);
            }
            hash.add(route);
        }
        Ok((table, hash))
    }
}

#[cfg(test)]
mod tests;
