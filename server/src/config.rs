//! The server's settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use dinp_common::name::Host;
use dinp_planner::policy::Policy;
use serde::Deserialize;

/// `server.toml`, or the same keys as `DINP_SERVER_...`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the API listens, for people, agents and builders.
    pub listen: SocketAddr,
    /// `/livez`, `/readyz`, `/metrics`; none if absent.
    pub admin: Option<SocketAddr>,
    /// `sqlite:/path/state.db` or `mysql://user:password@host/database`.
    pub store: String,
    /// `unix:/path/routes.sock` or `redis://host:port`.
    pub routes: String,
    /// Artifacts are kept here until they are built.
    pub state_dir: PathBuf,
    /// Apps are served at `<app>.<domain>`.
    pub domain: Host,
    /// The port users' traffic comes in by, for the addresses shown to people.
    pub apps_port: u16,
    /// Where people reach the dashboard, for one-time links.
    pub dashboard_url: String,
    /// Seconds a withdrawn instance may finish what it has in flight.
    pub drain_grace_seconds: u64,
    /// Seconds a new instance may take until it is healthy.
    pub start_grace_seconds: u64,
    /// Whether instances move onto a node that has joined or come back, without anybody asking.
    pub rebalance_on_join: bool,
}

impl Default for Config {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            admin: None,
            store: "sqlite:/var/lib/dinp/state.db".to_owned(),
            routes: "unix:/run/dinp/routes.sock".to_owned(),
            state_dir: PathBuf::from("/var/lib/dinp"),
            domain: Host::parse("localhost").expect("a host name"),
            apps_port: 8080,
            dashboard_url: "http://127.0.0.1:8081".to_owned(),
            drain_grace_seconds: policy.drain_grace_ms / 1000,
            start_grace_seconds: policy.start_grace_ms / 1000,
            rebalance_on_join: policy.rebalance_on_join,
        }
    }
}

impl Config {
    pub fn policy(&self) -> Policy {
        Policy {
            drain_grace_ms: self.drain_grace_seconds * 1000,
            start_grace_ms: self.start_grace_seconds * 1000,
            rebalance_on_join: self.rebalance_on_join,
            ..Policy::default()
        }
    }
}
