//! What an operator can set.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use dinp_common::name::NodeName;
use dinp_common::wire::AGENT_PATH;
use http::Uri;
use serde::Deserialize;

use crate::state::{NODE, StateDir};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Every server of the cluster: `ws://host:port`. The agent connects to all of them.
    pub servers: Vec<String>,
    /// A file with the agent's token, read at each connection.
    pub token_file: PathBuf,
    pub state_dir: PathBuf,
    /// This node's name. Where nothing is said, the host's name at the first start.
    pub node: Option<NodeName>,
    /// Docker's socket.
    pub docker: PathBuf,
    /// The network of the instances, and its interface on the host: at most 15 characters.
    pub bridge: String,
    pub zone: String,
    pub labels: BTreeMap<String, String>,
    /// TCP ports of the host that instances may reach: the router's.
    pub host_ports: Vec<u16>,
    /// Where `/livez`, `/readyz` and `/metrics` are served, if anywhere.
    pub admin: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            servers: vec!["ws://127.0.0.1:8081".to_owned()],
            token_file: "/var/lib/dinp/agent/token".into(),
            state_dir: "/var/lib/dinp/agent".into(),
            node: None,
            docker: "/var/run/docker.sock".into(),
            bridge: "dinp".to_owned(),
            zone: String::new(),
            labels: BTreeMap::new(),
            host_ports: vec![80, 443, 8080],
            admin: None,
        }
    }
}

/// The longest name the kernel gives a network interface.
const INTERFACE_NAME_LENGTH: usize = 15;

impl Config {
    /// The servers' addresses.
    ///
    /// # Errors
    /// If there is none, or one is not a `ws://` address.
    pub fn server_uris(&self) -> anyhow::Result<Vec<Uri>> {
        ensure!(!self.servers.is_empty(), "servers is empty: name at least one, as ws://host:port");
        self.servers.iter().map(|server| server_uri(server).with_context(|| format!("server \"{server}\""))).collect()
    }

    /// # Errors
    /// If the bridge cannot be an interface's name.
    pub fn check(&self) -> anyhow::Result<()> {
        self.server_uris()?;
        let named = (1..=INTERFACE_NAME_LENGTH).contains(&self.bridge.len())
            && self.bridge.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        ensure!(named, "bridge \"{}\" must be 1 to {INTERFACE_NAME_LENGTH} of a-z, 0-9 and -", self.bridge);
        Ok(())
    }

    /// This node's name: as set, else as kept by an earlier start, else from the host's. Its token and its containers
    /// bear it, so it must outlast a change of the host's name. A kept name that cannot be read counts as none here;
    /// the agent does not start with it.
    pub fn node_name(&self) -> NodeName {
        let kept = || serde_json::from_slice(&std::fs::read(self.state_dir.join(NODE)).ok()?).ok();
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        self.node.clone().or_else(kept).unwrap_or_else(|| node_from_host(&host()))
    }

    /// The same, and keeps it for later starts.
    ///
    /// # Errors
    /// If the kept name cannot be read, or this one cannot be kept.
    pub(crate) fn keep_node_name(&self, state: &StateDir) -> anyhow::Result<NodeName> {
        let (kept, name) = (state.read::<NodeName>(NODE)?, self.node_name());
        if kept.as_ref() != Some(&name) {
            state.write(NODE, &name)?;
        }
        Ok(name)
    }
}

fn server_uri(server: &str) -> anyhow::Result<Uri> {
    let uri: Uri = server.parse().context("it is not a URL")?;
    ensure!(uri.scheme_str() == Some("ws"), "it must begin with ws://");
    ensure!(uri.host().is_some(), "it names no host");
    let mut parts = uri.into_parts();
    if parts.path_and_query.as_ref().is_none_or(|path| path.as_str() == "/") {
        parts.path_and_query = Some(http::uri::PathAndQuery::from_static(AGENT_PATH));
    }
    Ok(Uri::from_parts(parts)?)
}

fn node_from_host(host: &str) -> NodeName {
    let label = host.trim().split('.').next().unwrap_or_default().to_lowercase();
    let clean: String = label.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    NodeName::parse(clean.trim_matches('-')).unwrap_or_else(|_| NodeName::parse("node").expect("a DNS label"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_websocket_addresses_with_the_agents_path() {
        assert_eq!(server_uri("ws://10.0.0.1:8081").expect("valid").to_string(), "ws://10.0.0.1:8081/v1/agent");
        assert_eq!(server_uri("ws://h:1/other").expect("valid").path(), "/other");
        for bad in ["", "10.0.0.1:8081", "http://h", "wss://h"] {
            assert!(server_uri(bad).is_err(), "{bad}");
        }
        assert!(Config { servers: vec![], ..Config::default() }.check().is_err());
        assert!(Config { bridge: "a-very-long-bridge".into(), ..Config::default() }.check().is_err());
        Config::default().check().expect("the defaults are valid");
    }

    #[test]
    fn a_hosts_name_becomes_a_label() {
        assert_eq!(node_from_host("Web_01.example.com").as_str(), "web-01");
        assert_eq!(node_from_host("").as_str(), "node");
        assert_eq!(node_from_host("---").as_str(), "node");
    }

    #[test]
    fn a_nodes_name_outlasts_a_change_of_the_hosts() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(folder.path()).expect("opens");
        let config = Config { state_dir: folder.path().to_owned(), ..Config::default() };
        let first = config.keep_node_name(&state).expect("kept");
        assert_eq!(state.read::<NodeName>(NODE).expect("reads"), Some(first));
        let before = NodeName::parse("before-the-rename").expect("name");
        state.write(NODE, &before).expect("writes");
        assert_eq!(config.node_name(), before);
        assert_eq!(config.keep_node_name(&state).expect("kept"), before);
        let set = NodeName::parse("as-set").expect("name");
        let config = Config { node: Some(set.clone()), ..config };
        assert_eq!(config.keep_node_name(&state).expect("kept"), set, "an operator may rename a node");
        std::fs::write(folder.path().join(NODE), "{").expect("writes");
        assert!(config.keep_node_name(&state).is_err(), "damage is no first start");
    }
}
