//! Attacks, each by name, and what a layer is made of.

mod attacks;
mod layers;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};
use tempfile::NamedTempFile;
use tokio_util::sync::CancellationToken;

use super::{Artifact, Bounds, Packing};

pub(crate) const MTIME: u64 = 1_600_000_000;

/// A tar written by hand: libraries refuse to write what attackers do.
#[derive(Default)]
pub(crate) struct EvilTar(Vec<u8>);

impl EvilTar {
    pub(crate) fn entry(mut self, kind: EntryType, name: &str, link: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_mtime(MTIME);
        header.set_uid(0);
        header.set_gid(0);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", 0o644, content)
    }

    pub(crate) fn program(self, name: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", 0o755, content)
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, 0o777, b"")
    }

    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }

    pub(crate) fn gz(self) -> Vec<u8> {
        gzip(&self.bytes())
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("gzip");
    encoder.finish().expect("gzip")
}

pub(crate) fn file_of(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("temporary file");
    file.write_all(bytes).expect("written");
    file
}

pub(crate) fn artifact(file: &NamedTempFile, packing: Packing, bounds: Bounds) -> Artifact {
    Artifact { path: file.path().to_owned(), packing, bounds, fallback_mtime: 1_000_000_000, stop: CancellationToken::new() }
}
