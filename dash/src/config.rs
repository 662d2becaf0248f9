//! What the dashboard is told.

use std::net::SocketAddr;

use serde::Deserialize;

/// What the pages need to know, whichever process serves them.
#[derive(Debug, Clone)]
pub struct DashConfig {
    /// The apps' domain. Nothing is served to a host below it: an app there could act for whoever is signed in.
    pub domain: String,
    /// Names the dashboard is reached by, beside `localhost` and plain addresses.
    pub hosts: Vec<String>,
    /// Browsers reach it over https, through a proxy; the cookie is then `Secure` and bound to this host.
    pub https: bool,
}

impl Default for DashConfig {
    fn default() -> Self {
        Self { domain: "localhost".to_owned(), hosts: Vec::new(), https: false }
    }
}

/// `dinp dash`, a process of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// The server's API.
    pub server: String,
    pub domain: String,
    pub hosts: Vec<String>,
    pub https: bool,
    /// Serves `/livez`, `/readyz` and `/metrics`; nothing where it is not set.
    pub admin: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        let pages = DashConfig::default();
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8082)),
            server: "http://127.0.0.1:8081".to_owned(),
            domain: pages.domain,
            hosts: pages.hosts,
            https: pages.https,
            admin: None,
        }
    }
}

impl Config {
    pub(crate) fn pages(&self) -> DashConfig {
        DashConfig { domain: self.domain.clone(), hosts: self.hosts.clone(), https: self.https }
    }
}
