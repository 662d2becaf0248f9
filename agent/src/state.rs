//! The agent's files.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The gate: highest fence, cluster.
pub const GATE: &str = "gate.json";
/// This node's name.
pub const NODE: &str = "node.json";
/// The address table.
pub const ADDRESSES: &str = "addresses.json";
/// The subnet of the network.
pub const NETWORK: &str = "network.json";
/// The assignments last accepted. A loss of this file does no harm while a leader can be heard.
pub const ASSIGNMENTS: &str = "assignments.json";

/// A folder of small JSON files, held by one agent at a time.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
    _lock: Arc<Flock<File>>,
}

impl StateDir {
    /// # Errors
    /// If the folder cannot be made, or another agent holds it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("the state folder {} cannot be made", path.display()))?;
        let lock = path.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock)
            .with_context(|| format!("{} cannot be opened", lock.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Self { path: path.to_owned(), _lock: Arc::new(lock) }),
            Err((_, errno)) => bail!("another agent already uses {} ({errno})", path.display()),
        }
    }

    /// Reads a file; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read or understood. What it said matters too much to go on without it.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let path = self.path.join(name);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        let value = serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Some(value))
    }

    /// Replaces a file as a whole; once this returns, a power cut does not bring the old one back.
    ///
    /// # Errors
    /// If the disk does not take it; the old file is then still there.
    pub fn write<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let fresh = self.path.join(format!("{name}.new"));
        let text = serde_json::to_vec(value).with_context(|| format!("{name} cannot be written as JSON"))?;
        let written = (|| {
            let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)?;
            File::open(&self.path)?.sync_all()
        })();
        written.with_context(|| format!("{} cannot be written", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_and_damage_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateDir::open(folder.path()).expect("opens");
        assert_eq!(state.read::<u32>("x.json").expect("reads"), None);
        state.write("x.json", &7u32).expect("writes");
        assert_eq!(state.read::<u32>("x.json").expect("reads"), Some(7));
        std::fs::write(folder.path().join("x.json"), "{").expect("writes");
        let error = state.read::<u32>("x.json").expect_err("damaged");
        assert!(format!("{error:#}").contains("x.json is damaged"), "{error:#}");
    }

    #[test]
    fn a_second_agent_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = StateDir::open(folder.path()).expect("opens");
        let error = StateDir::open(folder.path()).expect_err("held");
        assert!(error.to_string().contains("another agent already uses"), "{error}");
        drop(first);
        StateDir::open(folder.path()).expect("free again");
    }
}
