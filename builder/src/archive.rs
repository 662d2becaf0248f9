//! Archives, read as streams: every member is checked before anybody sees it, and nothing is unpacked on this machine.
//!
//! The same checks run at each reading, so that the pass which writes an image trusts nothing an earlier one found.

mod bounded;
mod layer;
mod listing;
mod path;
mod rules;
mod tar_members;
mod zip_members;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use dinp_common::limits;
use flate2::read::MultiGzDecoder;
use tokio_util::sync::CancellationToken;

use crate::refusal::{Refusal, unreadable};
pub(crate) use bounded::Bounded;
pub use layer::{LayerPlan, LayerSum, measure, write_layer};
pub(crate) use listing::contains;
pub use listing::{Listing, list};
use rules::Rules;

/// How an artifact's file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// The file is the thing itself.
    Plain,
    /// One file behind gzip.
    Gzip,
    TarGz,
    Tar,
    Zip,
}

/// What an archive may grow to.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files, folders and links.
    pub entries: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes: limits::UNPACKED_BYTES, entries: limits::ARCHIVE_ENTRIES }
    }
}

impl Bounds {
    pub(crate) fn too_big(&self) -> Refusal {
        Refusal::new(
            format!("the archive unpacks to more than {}; it is a bomb or a mistake", size_words(self.bytes)),
            "leave out what the app does not need to run",
        )
    }

    pub(crate) fn too_many(&self) -> Refusal {
        Refusal::new(
            format!("the archive holds more than {} files and folders", self.entries),
            "leave out what the app does not need to run",
        )
    }

    /// Bytes a tar stream within these bounds may have: the files, and for each entry its header and padding.
    fn stream_bytes(&self) -> u64 {
        self.bytes.saturating_add(self.entries.saturating_mul(2048)).saturating_add(1024 * 1024)
    }
}

/// `4 GiB`, `10 MiB`, `17 bytes`.
pub(crate) fn size_words(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) if bytes.is_multiple_of(unit) => format!("{} {name}", bytes / unit),
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

/// An artifact on disk.
#[derive(Debug, Clone)]
pub struct Artifact {
    pub path: PathBuf,
    pub packing: Packing,
    pub bounds: Bounds,
    /// Seconds since 1970 for members which carry no time of their own. Derived from the artifact's content, so that
    /// the same artifact gives the same layer and two artifacts never look unchanged to a browser's cache.
    pub fallback_mtime: u64,
    /// Cancelled when the build is over, whoever ended it: reading stops at the next block.
    pub stop: CancellationToken,
}

/// One member of an archive, already checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Relative, without `.`, `..` or a slash at either end.
    pub path: String,
    pub node: Node,
    /// Seconds since 1970.
    pub mtime: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Folder,
    File {
        size: u64,
        executable: bool,
    },
    /// The target as the archive has it; it stays within the archive.
    Symlink {
        target: String,
    },
    /// The path of a file that came before.
    Hardlink {
        to: String,
    },
}

/// Is shown every member in the archive's order, with the content of files.
pub type Visit<'v> = dyn FnMut(&Member, &mut dyn Read) -> anyhow::Result<()> + 'v;

impl Artifact {
    /// Shows every member of the archive to `visit`. Fails on the first one that breaks a rule.
    pub fn walk(&self, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        match self.packing {
            Packing::Tar => tar_members::walk(self.open()?, self, visit),
            Packing::TarGz => tar_members::walk(MultiGzDecoder::new(self.open()?), self, visit),
            Packing::Zip => zip_members::walk(self.open()?, self, visit),
            Packing::Plain | Packing::Gzip => {
                Err(Refusal::new("the file is not an archive", "upload a .tar.gz, a .tar or a .zip").into())
            }
        }
    }

    /// The one file that is not an archive, unpacked.
    pub(crate) fn content(&self) -> anyhow::Result<Box<dyn Read>> {
        let file = self.open()?;
        Ok(match self.packing {
            Packing::Gzip => Box::new(self.bounded(MultiGzDecoder::new(file))),
            Packing::Plain | Packing::Tar | Packing::TarGz | Packing::Zip => Box::new(self.bounded(file)),
        })
    }

    /// Whether a zip has one name twice. Readers differ in which of the two they take.
    pub(crate) fn has_duplicate_names(&self) -> anyhow::Result<bool> {
        match self.packing {
            Packing::Zip => zip_members::has_duplicate_names(self.open()?),
            Packing::Plain | Packing::Gzip | Packing::Tar | Packing::TarGz => Ok(false),
        }
    }

    fn bounded<R: Read>(&self, inner: R) -> Bounded<R> {
        Bounded::new(inner, self.bounds.stream_bytes(), self.bounds.too_big(), self.stop.clone())
    }

    fn open(&self) -> anyhow::Result<BufReader<File>> {
        let file = File::open(&self.path).map_err(|error| unreadable("the artifact", error))?;
        Ok(BufReader::with_capacity(128 * 1024, file))
    }
}

/// Bytes of the one file an artifact unpacks to.
pub(crate) fn drain_count(artifact: &Artifact) -> anyhow::Result<u64> {
    drain(&mut artifact.content()?).map_err(|error| unreadable("the file", error))
}

/// Reads to the end, so that lengths and checksums are verified also where nobody wanted the content.
fn drain(reader: &mut dyn Read) -> io::Result<u64> {
    io::copy(reader, &mut io::sink())
}

#[cfg(test)]
pub(crate) mod tests;
