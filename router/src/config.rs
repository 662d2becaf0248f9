//! The router's settings.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::limits::CORES;
use crate::log::AccessLog;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where users' requests arrive: `address:port`. `localhost:8080` is both loopback addresses.
    pub listen: String,
    /// Where routes come from: `unix:/path` or `redis://host:port`.
    pub feed: String,
    /// The last good table and this router's id live here.
    pub state_dir: PathBuf,
    /// Unix socket for `status`, `stop` and for the next version of the router to take over through.
    pub control: PathBuf,
    /// Address of `/livez`, `/readyz` and `/metrics`; none without it.
    pub admin: Option<SocketAddr>,
    /// User to become once the sockets are bound.
    pub user: Option<String>,
    /// `off`, `text` or `json`, to standard output.
    pub access_log: AccessLog,
    /// Threads that serve; 0: as many as the machine has cores.
    pub cores: usize,
    /// Seconds that requests and WebSockets may take to end when the router stops or is replaced.
    pub drain_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "localhost:8080".into(),
            feed: "unix:/run/dinp/routes.sock".into(),
            state_dir: "/var/lib/dinp/router".into(),
            control: "/run/dinp/router-control.sock".into(),
            admin: None,
            user: None,
            access_log: AccessLog::Off,
            cores: 0,
            drain_seconds: 60,
        }
    }
}

/// Where routes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedAddress {
    Unix(PathBuf),
    Redis(String),
}

/// One address to listen on. An optional one may be missing on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    pub address: SocketAddr,
    pub optional: bool,
}

impl Config {
    /// The addresses to listen on.
    ///
    /// # Errors
    /// If `listen` is not one, in words.
    pub fn listen_addresses(&self) -> anyhow::Result<Vec<Listen>> {
        let invalid =
            || anyhow::anyhow!("listen = \"{}\" is not an address and port, such as 0.0.0.0:80 or localhost:8080", self.listen);
        if let Some(port) = self.listen.strip_prefix("localhost:") {
            let port: u16 = port.parse().map_err(|_| invalid())?;
            let v4 = Listen { address: (Ipv4Addr::LOCALHOST, port).into(), optional: false };
            let v6 = Listen { address: (Ipv6Addr::LOCALHOST, port).into(), optional: true };
            return Ok(vec![v4, v6]);
        }
        let address = self.listen.parse().map_err(|_| invalid())?;
        Ok(vec![Listen { address, optional: false }])
    }

    /// Where routes come from.
    ///
    /// # Errors
    /// If `feed` is neither form, in words.
    pub fn feed_address(&self) -> anyhow::Result<FeedAddress> {
        if let Some(path) = self.feed.strip_prefix("unix:") {
            return Ok(FeedAddress::Unix(path.into()));
        }
        if self.feed.starts_with("redis://") || self.feed.starts_with("rediss://") {
            return Ok(FeedAddress::Redis(self.feed.clone()));
        }
        anyhow::bail!("feed = \"{}\" is neither unix:/path nor redis://host:port", self.feed)
    }

    /// How many threads serve.
    pub fn core_count(&self) -> usize {
        let machine = || std::thread::available_parallelism().map_or(1, usize::from);
        if self.cores == 0 { machine() } else { self.cores }.clamp(1, CORES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_parsed_before_anything_starts() {
        let listen = |text: &str| {
            let config = Config { listen: text.into(), ..Config::default() };
            config.listen_addresses().map(|all| all.iter().map(|l| l.address.to_string()).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(listen("localhost:8080").expect("valid"), "127.0.0.1:8080 [::1]:8080");
        assert_eq!(listen("0.0.0.0:80").expect("valid"), "0.0.0.0:80");
        assert_eq!(listen("[::]:80").expect("valid"), "[::]:80");
        for bad in ["", "8080", "localhost", "localhost:99999", "example.com:80"] {
            assert!(listen(bad).expect_err("invalid").to_string().contains("is not an address and port"), "{bad}");
        }
        let feed = |text: &str| Config { feed: text.into(), ..Config::default() }.feed_address();
        assert_eq!(feed("unix:/a").expect("valid"), FeedAddress::Unix("/a".into()));
        assert_eq!(feed("redis://h:1").expect("valid"), FeedAddress::Redis("redis://h:1".into()));
        assert!(feed("http://x").is_err());
    }
}
