//! The builder's settings.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use dinp_common::kind::Base;
use serde::Deserialize;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The server whose builds this builder takes.
    pub server: String,
    /// A file with the builder's token and nothing else.
    pub token_file: PathBuf,
    /// Artifacts lie here while they are built; emptied at start.
    pub state_dir: PathBuf,
    /// The local Docker engine's socket.
    pub docker: PathBuf,
    /// Images that stand in for bases of our own, by base: `java = "registry.example/java:21"`.
    pub bases: BTreeMap<Base, String>,
    /// `/livez`, `/readyz`, `/metrics`; none if absent.
    pub admin: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: "http://127.0.0.1:8081".to_owned(),
            token_file: "/var/lib/dinp/tokens/builder".into(),
            state_dir: "/var/lib/dinp/builder".into(),
            docker: "/var/run/docker.sock".into(),
            bases: BTreeMap::new(),
            admin: None,
        }
    }
}
