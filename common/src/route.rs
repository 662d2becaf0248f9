//! What routers know: host to healthy instances, in tables that certify themselves.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::fence::Fence;
use crate::instance::InstanceId;
use crate::name::{AppName, Host, RouterId};
use crate::release::ReleaseNo;

/// One instance that takes traffic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    pub instance: InstanceId,
    pub address: SocketAddr,
    pub release: ReleaseNo,
}

/// Why a route may have no endpoint; the router says it to the visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteState {
    /// It serves, or should: without endpoints the answer is 503.
    Serving,
    /// Its people stopped it: 503 with that reason.
    Stopped,
}

/// Host -> instances. The unit of every change to a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub host: Host,
    pub app: AppName,
    pub state: RouteState,
    /// Sorted by instance id.
    pub endpoints: Vec<Endpoint>,
    /// Milliseconds an upgraded connection (WebSocket) may go on after its endpoint has left the table, before
    /// the router closes it with 1001.
    pub tunnel_grace_ms: u64,
}

pub type RouteTable = BTreeMap<Host, Route>;

/// A table's place in history: later epochs beat earlier ones whatever their version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableVersion {
    pub epoch: u64,
    pub version: u64,
}

/// The proof that a table is whole and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCert {
    pub fence: Fence,
    /// Grows by one at every change within an epoch, from 1.
    pub version: u64,
    /// Number of routes.
    pub count: u64,
    /// The set hash of all routes, hexadecimal (`dinp_planner::table`).
    pub hash: String,
}

impl TableCert {
    pub fn at(&self) -> TableVersion {
        TableVersion { epoch: self.fence.epoch, version: self.version }
    }
}

/// What a feed carries to a router. One JSON line on the unix socket, one stream entry in Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum RouteUpdate {
    /// The whole table.
    Full { cert: TableCert, routes: Vec<Route> },
    /// What changed since `base`; `cert` is that of the result.
    Delta { base: TableVersion, cert: TableCert, put: Vec<Route>, remove: Vec<Host> },
}

impl RouteUpdate {
    pub fn cert(&self) -> &TableCert {
        match self {
            Self::Full { cert, .. } | Self::Delta { cert, .. } => cert,
        }
    }
}

/// What a router says of itself, on every change and at least once a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum RouterMessage {
    Status(RouterStatus),
    /// The router has no table, or one the last delta does not fit: send everything.
    Resync {
        router: RouterId,
    },
    /// The router leaves for good and is not waited for any more.
    Goodbye {
        router: RouterId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterStatus {
    pub router: RouterId,
    /// The version all its cores route by; `None` before the first.
    pub confirmed: Option<TableVersion>,
    /// Who published it: where a database has lost its last commits, two leaders may have the same epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Requests and tunnels in flight, per instance; only those above zero.
    pub in_flight: BTreeMap<InstanceId, u32>,
}

/// Where routes and routers stand in Redis. Everything there can be rebuilt from the store at any time.
pub mod redis_keys {
    /// Hash: host -> [`super::Route`] as JSON.
    pub const ROUTES: &str = "dinp:routes";
    /// [`super::TableCert`] of the hash, as JSON. Written in one transaction with it.
    pub const CERT: &str = "dinp:routes:cert";
    /// Stream of [`super::RouteUpdate`]s as JSON, in the field [`CHANGE_FIELD`].
    pub const CHANGES: &str = "dinp:routes:changes";
    pub const CHANGE_FIELD: &str = "u";
    /// Prefix of one key per router: its [`super::RouterStatus`] as JSON, with a time to live of [`ROUTER_TTL_SECONDS`].
    pub const ROUTER: &str = "dinp:routers:";
    /// Five missed reports.
    pub const ROUTER_TTL_SECONDS: u64 = 5;
    /// Channel on which routers publish each [`super::RouterMessage`] as JSON, so that servers hear at once.
    pub const STATUS_CHANNEL: &str = "dinp:routers:status";
}
