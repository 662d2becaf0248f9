//! Linux executables: for which machine, and what they need to start.

use std::io::Read;

use crate::archive::{Artifact, Packing};
use crate::refusal::{Refusal, unreadable};

/// Bytes that hold the header and the program headers of every executable linkers write.
const HEAD_BYTES: u64 = 64 * 1024;
/// `e_machine` values (System V ABI) that people are likely to meet.
const MACHINES: [(u16, &str); 8] = [
    (62, "x86-64"),
    (183, "64-bit ARM"),
    (3, "32-bit x86"),
    (40, "32-bit ARM"),
    (243, "RISC-V"),
    (21, "64-bit PowerPC"),
    (22, "IBM Z"),
    (258, "LoongArch"),
];

/// What an executable needs from its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Linkage {
    /// Nothing at all.
    Static,
    /// This loader, and shared libraries.
    Dynamic { loader: String },
}

impl Linkage {
    pub(crate) fn describe(&self) -> String {
        match self {
            Linkage::Static => "statically linked: it needs no base image".to_owned(),
            Linkage::Dynamic { loader } => format!("dynamically linked (loader {loader})"),
        }
    }
}

/// The `e_machine` of this machine.
fn own_machine() -> u16 {
    match std::env::consts::ARCH {
        "aarch64" => 183,
        "riscv64" => 243,
        "powerpc64" => 21,
        "s390x" => 22,
        "loongarch64" => 258,
        _ => 62,
    }
}

fn machine_name(machine: u16) -> String {
    MACHINES
        .iter()
        .find(|(number, _)| *number == machine)
        .map_or_else(|| format!("machine {machine}"), |(_, name)| (*name).to_owned())
}

/// Checks the executable an artifact is.
pub(super) fn check(artifact: &Artifact) -> anyhow::Result<Linkage> {
    let mut head = Vec::new();
    artifact.content()?.take(HEAD_BYTES).read_to_end(&mut head).map_err(|error| unreadable("the file", error))?;
    let length = match artifact.packing {
        Packing::Gzip => crate::archive::drain_count(artifact)?,
        Packing::Plain | Packing::Tar | Packing::TarGz | Packing::Zip => artifact.path.metadata()?.len(),
    };
    Ok(inspect("the file", &head, Some(length))?)
}

/// Checks an executable by its beginning; with its length also that it is whole.
pub(super) fn inspect(what: &str, head: &[u8], length: Option<u64>) -> Result<Linkage, Refusal> {
    let truncated = || Refusal::truncated(what);
    let ident = head.get(4..6).ok_or_else(truncated)?;
    let machine_word = head.get(18..20).ok_or_else(truncated)?;
    let big_endian = ident[1] == 2;
    let machine =
        if big_endian { u16::from_be_bytes([machine_word[0], machine_word[1]]) } else { word(head, 18).ok_or_else(truncated)? };
    if machine != own_machine() || ident[0] != 2 || big_endian {
        let (theirs, ours) = (machine_name(machine), machine_name(own_machine()));
        let why = format!("{what} is built for {theirs}; this machine is {ours}");
        return Err(Refusal::new(why, format!("build it for Linux on {ours}")));
    }
    let kind = word(head, 16).ok_or_else(truncated)?;
    let entry = long(head, 24).ok_or_else(truncated)?;
    if !matches!(kind, 2 | 3) || entry == 0 {
        let is = if kind == 3 { "a shared library" } else { "an object file or a core dump" };
        return Err(Refusal::new(format!("{what} is {is}, not a program"), "upload the linked executable"));
    }
    segments(what, head, length)
}

/// Walks the program headers: PT_INTERP names the loader; each segment must lie within the file.
fn segments(what: &str, head: &[u8], length: Option<u64>) -> Result<Linkage, Refusal> {
    const LOAD: u32 = 1;
    const INTERP: u32 = 3;
    let truncated = || Refusal::truncated(what);
    let table = usize::try_from(long(head, 32).ok_or_else(truncated)?).map_err(|_| truncated())?;
    let (size, count) = (word(head, 54).ok_or_else(truncated)?, word(head, 56).ok_or_else(truncated)?);
    let mut linkage = Linkage::Static;
    for index in 0..usize::from(count) {
        let at = table.checked_add(index * usize::from(size)).ok_or_else(truncated)?;
        let kind = head.get(at..at.saturating_add(4)).ok_or_else(truncated)?;
        let kind = u32::from_le_bytes([kind[0], kind[1], kind[2], kind[3]]);
        let (from, bytes) = (long(head, at + 8).ok_or_else(truncated)?, long(head, at + 32).ok_or_else(truncated)?);
        if matches!(kind, LOAD | INTERP) && length.is_some_and(|length| from.saturating_add(bytes) > length) {
            return Err(truncated());
        }
        if kind == INTERP {
            let from = usize::try_from(from).map_err(|_| truncated())?;
            let text = head.get(from..from.saturating_add(usize::try_from(bytes).map_err(|_| truncated())?)).unwrap_or_default();
            let loader = String::from_utf8_lossy(text.strip_suffix(b"\0").unwrap_or(text)).into_owned();
            linkage = Linkage::Dynamic { loader };
        }
    }
    match &linkage {
        Linkage::Dynamic { loader } if loader.contains("ld-musl") => Err(Refusal::new(
            format!("{what} needs the loader {loader} of musl, and the base image has glibc"),
            "link it statically (for Rust: --target x86_64-unknown-linux-musl), or build it on Debian",
        )),
        _ => Ok(linkage),
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at.checked_add(2)?).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_le_bytes)
}
