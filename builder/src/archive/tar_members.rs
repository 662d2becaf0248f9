//! Tar archives. Long names are resolved here, with bounds, since the library reads them into memory whole.

use std::io::Read;

use tar::EntryType;

use super::path::clean;
use super::{Artifact, Member, Node, Rules, Visit, drain};
use crate::refusal::{Refusal, unreadable};

/// Bytes of a header that only describes the next member: a long name, or PAX records.
const EXTENSION_BYTES: u64 = 64 * 1024;
/// The set-user-id and set-group-id bits.
const SET_ID: u32 = 0o6000;

/// What extension headers say about the member after them.
#[derive(Debug, Default)]
struct Ahead {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

pub(super) fn walk<R: Read>(reader: R, artifact: &Artifact, visit: &mut Visit<'_>) -> anyhow::Result<()> {
    let what = "the archive";
    let mut archive = tar::Archive::new(artifact.bounded(reader));
    let mut rules = Rules::new(artifact.bounds);
    let mut ahead = Ahead::default();
    for entry in archive.entries().map_err(|error| unreadable(what, error))?.raw(true) {
        let mut entry = entry.map_err(|error| unreadable(what, error))?;
        rules.count()?;
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() || kind.is_pax_local_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink() {
            let text = extension(&mut entry)?;
            ahead.take(kind, text)?;
            continue;
        }
        let Some(member) = member(entry.header(), std::mem::take(&mut ahead), artifact.fallback_mtime)? else {
            drain(&mut entry).map_err(|error| unreadable(what, error))?;
            continue;
        };
        rules.admit(&member)?;
        let mut body = Exactly { inner: &mut entry, left: size_of(&member.node) };
        visit(&member, &mut body)?;
        drain(&mut body).map_err(|error| unreadable(what, error))?;
    }
    // A gzip stream's checksum stands at its end.
    drain(&mut archive.into_inner()).map_err(|error| unreadable(what, error))?;
    Ok(())
}

fn size_of(node: &Node) -> u64 {
    match node {
        Node::File { size, .. } => *size,
        Node::Folder | Node::Symlink { .. } | Node::Hardlink { .. } => 0,
    }
}

fn extension(entry: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    entry.take(EXTENSION_BYTES + 1).read_to_end(&mut text).map_err(|error| unreadable("the archive", error))?;
    if text.len() as u64 > EXTENSION_BYTES {
        return Err(damaged("a name or attribute in it is longer than 64 KiB").into());
    }
    Ok(text)
}

fn damaged(why: &str) -> Refusal {
    Refusal::new(format!("the archive is damaged: {why}"), "make the file again and upload it")
}

impl Ahead {
    fn take(&mut self, kind: EntryType, text: Vec<u8>) -> Result<(), Refusal> {
        if kind.is_pax_global_extensions() {
            // Comments of whoever made the archive (git archive writes its commit); nothing about one member.
            return Ok(());
        }
        let until_nul = || text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        if kind.is_gnu_longname() {
            self.path = Some(until_nul());
        } else if kind.is_gnu_longlink() {
            self.link = Some(until_nul());
        } else {
            self.pax(&text)?;
        }
        Ok(())
    }

    /// PAX records (POSIX.1-2001): `LENGTH KEY=VALUE\n`, the length counting the whole record.
    fn pax(&mut self, mut text: &[u8]) -> Result<(), Refusal> {
        while !text.is_empty() {
            let bad = || damaged("an extended header cannot be read");
            let space = text.iter().position(|byte| *byte == b' ').ok_or_else(bad)?;
            let length: usize = std::str::from_utf8(&text[..space]).ok().and_then(|n| n.parse().ok()).ok_or_else(bad)?;
            let record = text.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(bad)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
            let value = &record[equals + 1..];
            match &record[..equals] {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(std::str::from_utf8(value).ok().and_then(|n| n.parse().ok()).ok_or_else(bad)?),
                key if key.starts_with(b"GNU.sparse") => return Err(sparse()),
                _ => {}
            }
            text = &text[length..];
        }
        Ok(())
    }
}

fn sparse() -> Refusal {
    Refusal::new("the archive stores a file as sparse, which is not read", "make the archive again without --sparse")
}

/// The member a header describes; `None` for the archive's root.
fn member(header: &tar::Header, ahead: Ahead, fallback_mtime: u64) -> anyhow::Result<Option<Member>> {
    let path = clean(&ahead.path.unwrap_or_else(|| header.path_bytes().into_owned()))?;
    if path.is_empty() || path.split('/').next() == Some("__MACOSX") {
        return Ok(None);
    }
    let link = ahead.link.or_else(|| header.link_name_bytes().map(|bytes| bytes.into_owned())).unwrap_or_default();
    let mode = header.mode().map_err(|error| unreadable("the archive", error))?;
    let size = header.size().map_err(|error| unreadable("the archive", error))?;
    // Readers disagree about which of two sizes holds; an archive with both hides files from some of them.
    if ahead.size.is_some_and(|said| said != size) {
        return Err(damaged("two headers give one file different sizes").into());
    }
    let node = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => {
            refuse_set_id(&path, mode)?;
            Node::File { size, executable: mode & 0o111 != 0 }
        }
        EntryType::Directory => Node::Folder,
        EntryType::Symlink => Node::Symlink { target: utf8(&path, link)? },
        EntryType::Link => Node::Hardlink { to: clean(&link)? },
        EntryType::Char | EntryType::Block => return Err(special(&path, "a device").into()),
        EntryType::Fifo => return Err(special(&path, "a named pipe").into()),
        EntryType::GNUSparse => return Err(sparse().into()),
        other => return Err(special(&path, &format!("an entry of type {:?}", char::from(other.as_byte()))).into()),
    };
    let mtime = header.mtime().unwrap_or_default();
    Ok(Some(Member { path, node, mtime: super::layer::sane_mtime(mtime, fallback_mtime) }))
}

pub(super) fn utf8(path: &str, bytes: Vec<u8>) -> Result<String, Refusal> {
    String::from_utf8(bytes)
        .map_err(|_| Refusal::new(format!("the link \"{path}\" leads to a name which is not UTF-8"), "rename the file it means"))
}

pub(super) fn refuse_set_id(path: &str, mode: u32) -> Result<(), Refusal> {
    if mode & SET_ID == 0 {
        return Ok(());
    }
    let why = format!("the archive has a setuid or setgid file (\"{path}\"), which would let the app change its user");
    Err(Refusal::new(why, format!("chmod a-s {path}")))
}

pub(super) fn special(path: &str, what: &str) -> Refusal {
    Refusal::new(
        format!("the archive has {what} (\"{path}\"); an app is made of files, folders and links"),
        "leave it out of the archive",
    )
}

/// Fails where a body ends before its header said so.
struct Exactly<'r> {
    inner: &'r mut dyn Read,
    left: u64,
}

impl Read for Exactly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let got = self.inner.read(buffer)?;
        if got == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.left = self.left.saturating_sub(got as u64);
        Ok(got)
    }
}
