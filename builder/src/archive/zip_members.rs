//! Zip archives.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};

use zip::result::ZipError;

use super::path::clean;
use super::tar_members::{refuse_set_id, special, utf8};
use super::{Artifact, Bounded, Member, Node, Rules, Visit, drain};
use crate::refusal::{Refusal, unreadable};

/// Bytes of the table at a zip's end, which the library reads into memory whole.
const DIRECTORY_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of a symbolic link's target.
const TARGET_BYTES: u64 = 4096;

pub(super) fn walk(mut file: BufReader<File>, artifact: &Artifact, visit: &mut Visit<'_>) -> anyhow::Result<()> {
    check_directory_size(&mut file, artifact)?;
    let mut archive = zip::ZipArchive::new(file).map_err(explain)?;
    let mut rules = Rules::new(artifact.bounds);
    for index in 0..archive.len() {
        rules.count()?;
        let mut file = archive.by_index(index).map_err(explain)?;
        let head = Head::of(&file)?;
        if head.path.is_empty() || head.path.split('/').next() == Some("__MACOSX") {
            continue;
        }
        let mut member = head.member(&mut file, artifact.fallback_mtime)?;
        let size = file.size();
        let what = "the archive";
        let mut body = Bounded::new(&mut file, size, wrong_size(&member.path), artifact.stop.clone());
        // Zips made on Windows carry no permissions; programs and scripts are known by how they begin.
        let mut begin = Vec::new();
        if let (Node::File { executable, .. }, None) = (&mut member.node, head.mode) {
            body.by_ref().take(4).read_to_end(&mut begin).map_err(|error| unreadable(what, error))?;
            *executable = begin.starts_with(b"#!") || begin.starts_with(b"\x7fELF");
        }
        rules.admit(&member)?;
        let mut counted = Counted { inner: Cursor::new(begin).chain(body), bytes: 0 };
        visit(&member, &mut counted)?;
        drain(&mut counted).map_err(|error| unreadable(what, error))?;
        if matches!(member.node, Node::File { .. }) && counted.bytes != size {
            return Err(wrong_size(&member.path).into());
        }
    }
    Ok(())
}

pub(super) fn has_duplicate_names(file: BufReader<File>) -> anyhow::Result<bool> {
    Ok(zip::ZipArchive::new(file).map_err(explain)?.has_duplicate_names())
}

/// What the table at the end says of one member.
struct Head {
    path: String,
    mode: Option<u32>,
    folder: bool,
    size: u64,
    mtime: u64,
}

impl Head {
    fn of(file: &zip::read::ZipFile<'_, BufReader<File>>) -> anyhow::Result<Self> {
        let raw = file.name_raw();
        if raw.contains(&b'\\') {
            let why = format!("the archive names files with backslashes (\"{}\")", String::from_utf8_lossy(raw));
            return Err(Refusal::new(why, "make the zip with a program that writes / between folders").into());
        }
        if file.encrypted() {
            return Err(Refusal::new("the archive is encrypted", "make the zip without a password").into());
        }
        let mtime = file.last_modified().map(seconds).unwrap_or_default();
        // Read as it stands: the library's own answer drops the set-user-id bit, which has to be refused and not lost.
        let mode = Some(file.external_attributes() >> 16).filter(|mode| *mode != 0 && !matches!(file.system(), zip::System::Dos));
        Ok(Self { path: clean(raw)?, mode, folder: file.is_dir(), size: file.size(), mtime })
    }

    fn member(&self, file: &mut impl Read, fallback_mtime: u64) -> anyhow::Result<Member> {
        let mode = self.mode.unwrap_or(0o644);
        let node = match mode & 0o170000 {
            0o120000 => {
                let mut target = Vec::new();
                file.take(TARGET_BYTES + 1).read_to_end(&mut target).map_err(|error| unreadable("the archive", error))?;
                Node::Symlink { target: utf8(&self.path, target)? }
            }
            0o020000 | 0o060000 => return Err(special(&self.path, "a device").into()),
            0o010000 => return Err(special(&self.path, "a named pipe").into()),
            0o140000 => return Err(special(&self.path, "a socket").into()),
            _ if self.folder => Node::Folder,
            _ => {
                refuse_set_id(&self.path, mode)?;
                Node::File { size: self.size, executable: mode & 0o111 != 0 }
            }
        };
        Ok(Member { path: self.path.clone(), node, mtime: super::layer::sane_mtime(self.mtime, fallback_mtime) })
    }
}

/// A zip's date, which has no time zone, read as UTC.
fn seconds(at: zip::DateTime) -> u64 {
    let (year, month, day) = (i64::from(at.year()), i64::from(at.month()), i64::from(at.day()));
    // Days from civil (Howard Hinnant): exact for the Gregorian calendar.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let clock = i64::from(at.hour()) * 3600 + i64::from(at.minute()) * 60 + i64::from(at.second());
    u64::try_from(days * 86_400 + clock).unwrap_or_default()
}

fn wrong_size(path: &str) -> Refusal {
    let why = format!("the archive is damaged: \"{path}\" does not have the size the archive gives for it");
    Refusal::new(why, "make the file again and upload it")
}

fn explain(error: ZipError) -> anyhow::Error {
    match error {
        ZipError::Io(error) => unreadable("the archive", error),
        ZipError::InvalidArchive(why) => {
            Refusal::new(format!("the zip is truncated or damaged: {why}"), "make the file again and upload it").into()
        }
        ZipError::CompressionMethodNotSupported(method) => {
            let why = format!("the zip uses a compression that is not read here (method {method})");
            Refusal::new(why, "make the zip with plain deflate").into()
        }
        other => {
            Refusal::new(format!("the zip cannot be read: {other}"), "make it again with plain deflate, or as .tar.gz").into()
        }
    }
}

/// Looks at the end-of-directory records (APPNOTE 4.3.14 to 4.3.16) before the library believes them.
fn check_directory_size(file: &mut BufReader<File>, artifact: &Artifact) -> anyhow::Result<()> {
    let read = |error| unreadable("the archive", error);
    let length = file.seek(SeekFrom::End(0)).map_err(read)?;
    // The record has 22 bytes and a comment of at most 65,535; zip64's locator of 20 bytes stands before it.
    let from = length.saturating_sub(22 + 65_535 + 20);
    let tail = bytes_at(file, from, length - from).map_err(read)?;
    let Some(at) = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06") else {
        return Err(Refusal::truncated("the zip").into());
    };
    let mut directory = number(&tail, at + 12, 4)?;
    if directory == u64::from(u32::MAX) {
        let locator = at.checked_sub(20).ok_or_else(|| Refusal::truncated("the zip"))?;
        let record = bytes_at(file, number(&tail, locator + 8, 8)?.min(length), 56).map_err(read)?;
        directory = number(&record, 40, 8)?;
    }
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    if directory > DIRECTORY_BYTES { Err(artifact.bounds.too_many().into()) } else { Ok(()) }
}

fn bytes_at(file: &mut BufReader<File>, from: u64, count: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A little-endian number of `width` bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Result<u64, Refusal> {
    let field = bytes.get(at..at + width).ok_or_else(|| Refusal::truncated("the zip"))?;
    Ok(field.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.bytes += got as u64;
        Ok(got)
    }
}
