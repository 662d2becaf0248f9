//! What a router keeps on disk: its id, and the last good table with its certificate.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dinp_common::name::RouterId;
use dinp_common::route::RouteUpdate;

/// Bytes of a table file: 100,000 routes are about 30 MB. A larger one was not written by a router.
const TABLE_BYTES: u64 = 512 * 1024 * 1024;

#[derive(Debug, Clone)]
pub struct StateDir(PathBuf);

impl StateDir {
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path.to_owned()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// This router's id, drawn at its first start.
    ///
    /// # Errors
    /// If it cannot be read or written. A router without a lasting id would be a new one at every start, and servers
    /// would wait for all its former selves.
    pub fn router_id(&self) -> anyhow::Result<RouterId> {
        let path = self.0.join("router-id");
        match std::fs::read_to_string(&path) {
            Ok(text) => RouterId::parse(text.trim()).with_context(|| format!("reading {}", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let id = RouterId::parse(&format!("r{:012x}", rand::random::<u64>() >> 16)).context("making a router id")?;
                self.write("router-id", format!("{id}\n").as_bytes())?;
                Ok(id)
            }
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// The table written last; `None` before the first.
    ///
    /// # Errors
    /// If the file is there and cannot be read as a table. Its certificate is checked by whoever applies it.
    pub fn table(&self) -> anyhow::Result<Option<RouteUpdate>> {
        let path = self.0.join("table.json");
        let length = match path.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        anyhow::ensure!(length <= TABLE_BYTES, "{} has {length} bytes, more than any table", path.display());
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&bytes).map(Some).with_context(|| format!("reading {}", path.display()))
    }

    pub fn write_table(&self, table: &RouteUpdate) -> anyhow::Result<()> {
        self.write("table.json", &serde_json::to_vec(table)?)
    }

    /// A router that has left must not come back with addresses others may have by then.
    pub fn forget_table(&self) -> anyhow::Result<()> {
        let removed = match std::fs::remove_file(self.0.join("table.json")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            removed => removed,
        };
        removed.and_then(|()| self.sync()).context("removing the table")
    }

    /// Whole or not at all, also across a power cut.
    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (path, part) = (self.0.join(name), self.0.join(format!("{name}.{}.part", std::process::id())));
        let write = || {
            let mut file = File::create(&part)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            std::fs::rename(&part, &path)?;
            self.sync()
        };
        write().with_context(|| format!("writing {}", path.display()))
    }

    /// Without it, a power cut may bring the file back that was replaced or removed.
    fn sync(&self) -> std::io::Result<()> {
        File::open(&self.0)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_lasts_and_a_damaged_table_is_an_error_not_an_empty_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDir::new(&dir.path().join("router")).expect("made");
        let id = state.router_id().expect("an id");
        assert_eq!(state.router_id().expect("the id"), id);
        assert_eq!(state.table().expect("none yet"), None);
        std::fs::write(state.path().join("table.json"), b"{\"type\":\"full\"").expect("written");
        assert!(state.table().is_err());
        state.forget_table().expect("removed");
        state.forget_table().expect("twice is fine");
        assert_eq!(state.table().expect("none"), None);
    }
}
