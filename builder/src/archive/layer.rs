//! The one layer an artifact becomes: a tar with fixed owners, modes and order, the same for the same artifact.

use std::collections::HashSet;
use std::io::{self, Read, Write};

use dinp_common::digest::Digest;
use sha2::{Digest as _, Sha256};
use tar::EntryType;

use super::path::{below, check_symlink};
use super::{Artifact, Member, Node, Packing, drain_count};
use crate::refusal::unreadable;

/// The folder of the app in its image, without the slash.
pub(crate) const APP_FOLDER: &str = "app";
/// The user and group `app` of every base: owns the app's files, so that the app may write beside them.
pub(crate) const APP_USER: u64 = 1000;
/// 1990 and 2100: a time outside is that of a program which writes none.
const PLAUSIBLE: std::ops::Range<u64> = 631_152_000..4_102_444_800;

/// What goes into the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerPlan {
    /// The artifact itself, as `/app/<name>`.
    File { name: String, executable: bool },
    /// What the archive holds, below `/app`, without the folder `strip`.
    Tree { strip: Option<String> },
}

/// A layer before it exists: Docker wants its size first and its digest in the image's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSum {
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    pub bytes: u64,
}

pub(super) fn sane_mtime(mtime: u64, fallback: u64) -> u64 {
    if PLAUSIBLE.contains(&mtime) { mtime } else { fallback }
}

/// Writes the layer to nowhere and says what it would be.
pub fn measure(artifact: &Artifact, plan: &LayerPlan) -> anyhow::Result<LayerSum> {
    let mut sum = Summing { hash: Sha256::new(), bytes: 0 };
    write_layer(artifact, plan, &mut sum)?;
    Ok(LayerSum { diff_id: Digest::from_sha256(sum.hash.finalize().into()), bytes: sum.bytes })
}

/// Writes the layer.
pub fn write_layer(artifact: &Artifact, plan: &LayerPlan, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut layer = Layer { tar: tar::Builder::new(out), folders: HashSet::new(), mtime: artifact.fallback_mtime };
    layer.folder(APP_FOLDER, artifact.fallback_mtime)?;
    match plan {
        LayerPlan::File { name, executable } => layer.single(artifact, name, *executable)?,
        LayerPlan::Tree { strip } => artifact.walk(&mut |member, body| match below(&member.path, strip.as_deref()) {
            Some(path) => layer.member(member, path, strip.as_deref(), body),
            None => Ok(()),
        })?,
    }
    layer.tar.finish()?;
    Ok(())
}

struct Layer<'o> {
    tar: tar::Builder<&'o mut dyn Write>,
    folders: HashSet<String>,
    /// For folders the archive implies without listing them.
    mtime: u64,
}

impl Layer<'_> {
    fn member(&mut self, member: &Member, path: &str, strip: Option<&str>, body: &mut dyn Read) -> anyhow::Result<()> {
        for (at, _) in path.match_indices('/') {
            self.folder(&format!("{APP_FOLDER}/{}", &path[..at]), self.mtime)?;
        }
        let at = format!("{APP_FOLDER}/{path}");
        match &member.node {
            Node::Folder => self.folder(&at, member.mtime)?,
            Node::File { size, executable } => {
                let mut header = header(EntryType::Regular, *size, *executable, member.mtime);
                self.tar.append_data(&mut header, at, body)?;
            }
            Node::Symlink { target } => {
                // Once more without the top folder: a link that led into it from beside now leads out.
                check_symlink(path, target)?;
                let mut header = header(EntryType::Symlink, 0, true, member.mtime);
                header.set_mode(0o777);
                self.tar.append_link(&mut header, at, target)?;
            }
            Node::Hardlink { to } => {
                let to = below(to, strip).unwrap_or(to);
                self.tar.append_link(&mut header(EntryType::Link, 0, false, member.mtime), at, format!("{APP_FOLDER}/{to}"))?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, path: &str, mtime: u64) -> anyhow::Result<()> {
        if self.folders.insert(path.to_owned()) {
            let mut header = header(EntryType::Directory, 0, true, mtime);
            self.tar.append_data(&mut header, format!("{path}/"), io::empty())?;
        }
        Ok(())
    }

    fn single(&mut self, artifact: &Artifact, name: &str, executable: bool) -> anyhow::Result<()> {
        let read = |error| unreadable("the file", error);
        let size = match artifact.packing {
            Packing::Gzip => drain_count(artifact)?,
            Packing::Plain | Packing::Tar | Packing::TarGz | Packing::Zip => artifact.path.metadata().map_err(read)?.len(),
        };
        let mut header = header(EntryType::Regular, size, executable, artifact.fallback_mtime);
        let content = artifact.content()?.take(size);
        Ok(self.tar.append_data(&mut header, format!("{APP_FOLDER}/{name}"), content)?)
    }
}

fn header(kind: EntryType, size: u64, executable: bool, mtime: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(if executable { 0o755 } else { 0o644 });
    header.set_uid(APP_USER);
    header.set_gid(APP_USER);
    header.set_mtime(mtime);
    header
}

struct Summing {
    hash: Sha256,
    bytes: u64,
}

impl Write for Summing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
