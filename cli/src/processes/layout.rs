//! Where one installation keeps everything: the state directory and the directory of sockets.

use std::fs::{self, DirBuilder};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The state directory where nobody names another.
pub const STATE: &str = "/var/lib/dinp";
const RUN: &str = "/run/dinp";

#[derive(Debug, Clone)]
pub struct Layout {
    pub state: PathBuf,
    /// Sockets and process records: they mean nothing after a reboot.
    pub run: PathBuf,
}

impl Layout {
    /// An installation elsewhere keeps its sockets with it, so that two on one machine share nothing.
    pub fn new(state: &Path) -> io::Result<Self> {
        let state = std::path::absolute(state)?;
        let run = if state == Path::new(STATE) { PathBuf::from(RUN) } else { state.join("run") };
        Ok(Self { state, run })
    }

    /// Makes the folders. The state is root's alone; the sockets' folder may be walked through, since the router
    /// runs as nobody in particular.
    pub fn prepare(&self) -> io::Result<()> {
        for (folder, mode) in [
            (self.state.clone(), 0o711),
            (self.run.clone(), 0o755),
            (self.artifacts(), 0o700),
            (self.builds(), 0o700),
            (self.agent(), 0o700),
            (self.router(), 0o755),
            (self.tokens(), 0o700),
            (self.logs(), 0o700),
        ] {
            DirBuilder::new().recursive(true).mode(mode).create(folder)?;
        }
        Ok(())
    }

    pub fn settings(&self) -> PathBuf {
        self.state.join("up.toml")
    }
    pub fn database(&self) -> PathBuf {
        self.state.join("state.db")
    }
    pub fn artifacts(&self) -> PathBuf {
        self.state.join("artifacts")
    }
    pub fn builds(&self) -> PathBuf {
        self.state.join("builds")
    }
    pub fn agent(&self) -> PathBuf {
        self.state.join("agent")
    }
    pub fn router(&self) -> PathBuf {
        self.state.join("router")
    }
    pub fn tokens(&self) -> PathBuf {
        self.state.join("tokens")
    }
    pub fn logs(&self) -> PathBuf {
        self.state.join("log")
    }
    /// The router's own configuration, written by `dinp up`.
    pub fn router_config(&self) -> PathBuf {
        self.state.join("router.toml")
    }
    /// The cluster this installation belongs to, in a file of its own: purging works without the database.
    pub fn cluster(&self) -> PathBuf {
        self.state.join("cluster")
    }
    pub fn routes_socket(&self) -> PathBuf {
        self.run.join("routes.sock")
    }
    pub fn router_control(&self) -> PathBuf {
        self.router().join("control.sock")
    }

    /// Where the control plane's `/livez`, `/readyz` and `/metrics` are usually.
    pub fn admin(&self) -> SocketAddr {
        self.loopback(9082)
    }

    /// Where the router's are.
    pub fn router_admin(&self) -> SocketAddr {
        self.loopback(9084)
    }

    /// An installation elsewhere takes any port that is free, so that it is in no other one's way.
    fn loopback(&self, port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, if self.state == Path::new(STATE) { port } else { 0 }).into()
    }

    /// The name of the containers' network, and of its interface: at most 15 characters.
    pub fn bridge(&self) -> String {
        if self.state == Path::new(STATE) {
            return "dinp".to_owned();
        }
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        self.state.hash(&mut hasher);
        format!("dinp-{:08x}", hasher.finish() as u32)
    }

    /// Writes `text` so that a reader sees the old content or the new, and nobody else may read it.
    pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let draft = path.with_extension("draft");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)
    }
}
