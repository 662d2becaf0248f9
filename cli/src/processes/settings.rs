//! What an installation was started with, kept so that a reboot, an upgrade and a bare `dinp up` agree.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::layout::Layout;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Apps are served at `<app>.<domain>`.
    pub domain: String,
    /// Users' traffic comes in here.
    pub listen: SocketAddr,
    /// API and dashboard.
    pub panel: SocketAddr,
    /// Docker's socket.
    pub docker: String,
    /// `/livez`, `/readyz` and `/metrics` of the control plane; [`Layout::admin`] where nobody said.
    pub admin: Option<SocketAddr>,
    /// The same of the router; [`Layout::router_admin`] where nobody said.
    pub router_admin: Option<SocketAddr>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            domain: "localhost".to_owned(),
            listen: SocketAddr::from(([0, 0, 0, 0], 8080)),
            panel: SocketAddr::from(([127, 0, 0, 1], 8081)),
            docker: "/var/run/docker.sock".to_owned(),
            admin: None,
            router_admin: None,
        }
    }
}

impl Settings {
    /// What was kept, or `None` before the first start.
    pub fn load(layout: &Layout) -> Result<Option<Self>> {
        let path = layout.settings();
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map(Some).with_context(|| format!("{} is damaged", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// As they are kept.
    pub fn text(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }

    pub fn save(&self, layout: &Layout) -> Result<()> {
        Layout::write_private(&layout.settings(), &self.text()?).context("keeping the settings")
    }

    /// Keeps settings that were given to a process started by hand.
    pub fn save_if_new(&self, layout: &Layout, kept: Option<&Self>) -> Result<()> {
        if kept == Some(self) {
            return Ok(());
        }
        layout.prepare()?;
        self.save(layout)
    }

    /// Where the control plane says how it is.
    pub fn admin(&self, layout: &Layout) -> SocketAddr {
        self.admin.unwrap_or_else(|| layout.admin())
    }

    /// Where the router says how it is.
    pub fn router_admin(&self, layout: &Layout) -> SocketAddr {
        self.router_admin.unwrap_or_else(|| layout.router_admin())
    }

    /// The address of an app, as people type it.
    pub fn app_url(&self, app: &str) -> String {
        match self.listen.port() {
            80 => format!("http://{app}.{}", self.domain),
            port => format!("http://{app}.{}:{port}", self.domain),
        }
    }

    pub fn panel_url(&self) -> String {
        format!("http://{}", self.panel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_and_a_damaged_file_is_no_fresh_start() {
        let folder = tempfile::tempdir().expect("folder");
        let layout = Layout { state: folder.path().into(), run: folder.path().into() };
        assert_eq!(Settings::load(&layout).expect("none yet"), None);
        let admin = Some(SocketAddr::from(([10, 0, 0, 1], 9100)));
        for settings in [
            Settings { domain: "apps.example.com".into(), ..Settings::default() },
            Settings { admin, router_admin: admin, ..Settings::default() },
        ] {
            settings.save(&layout).expect("save");
            assert_eq!(Settings::load(&layout).expect("read"), Some(settings));
        }
        std::fs::write(layout.settings(), "domain = ").expect("damage");
        assert!(Settings::load(&layout).is_err());
    }
}
