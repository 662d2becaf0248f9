//! How a file is packed, by its first bytes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::archive::Packing;
use crate::refusal::{Refusal, unreadable};

/// One tar block.
const BLOCK: u64 = 512;

/// Formats people upload by mistake: how they begin, and what to say.
const OTHERS: [(&[u8], &str, &str); 11] = [
    (b"\xfd7zXZ\0", "an xz archive, which is not read in this version", "pack it as .tar.gz"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive, which is not read in this version", "pack it as .tar.gz"),
    (b"BZh", "a bzip2 archive, which is not read in this version", "pack it as .tar.gz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive, which is not read in this version", "pack it as .tar.gz or .zip"),
    (b"Rar!", "a rar archive, which is not read in this version", "pack it as .tar.gz or .zip"),
    (b"MZ", "a Windows program", "build it for Linux"),
    (b"\xcf\xfa\xed\xfe", "a macOS program", "build it for Linux"),
    (b"\xce\xfa\xed\xfe", "a macOS program", "build it for Linux"),
    (b"\xca\xfe\xba\xbe", "a Java class file or a macOS program", "make a runnable .jar, or build for Linux"),
    (b"#!", "a script", "put it into a .tar.gz as an executable file named control"),
    (b"!<arch>", "a static library or a .deb package", "upload the program itself, or an archive of the app's files"),
];

pub(crate) fn packing_of(path: &Path) -> anyhow::Result<Packing> {
    let mut file = File::open(path).map_err(|error| unreadable("the artifact", error))?;
    let head = beginning(&mut file)?;
    if head.is_empty() {
        return Err(Refusal::new("the file is empty", "upload the file again; it has 0 bytes").into());
    }
    if head.starts_with(b"\x1f\x8b") {
        return behind_gzip(path);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") || is_prefixed_zip(&head, path) {
        return Ok(Packing::Zip);
    }
    if head.starts_with(b"\x7fELF") {
        return Ok(Packing::Plain);
    }
    if is_tar(&head) {
        return Ok(Packing::Tar);
    }
    Err(unknown("the file", &head).into())
}

fn behind_gzip(path: &Path) -> anyhow::Result<Packing> {
    let file = File::open(path).map_err(|error| unreadable("the artifact", error))?;
    let head = beginning(&mut MultiGzDecoder::new(file))?;
    if head.starts_with(b"\x7fELF") {
        return Ok(Packing::Gzip);
    }
    if is_tar(&head) {
        return Ok(Packing::TarGz);
    }
    if head.is_empty() {
        return Err(Refusal::new("the gzip file holds nothing", "make the archive again; it is empty").into());
    }
    Err(unknown("the content of the gzip file", &head).into())
}

fn beginning(reader: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    let mut head = Vec::new();
    reader.take(BLOCK).read_to_end(&mut head).map_err(|error| unreadable("the file", error))?;
    Ok(head)
}

/// A tar block whose checksum is right (old tars have no magic word), or the two zero blocks of an empty archive.
fn is_tar(head: &[u8]) -> bool {
    let Ok(block) = <&[u8; BLOCK as usize]>::try_from(head) else {
        return head.get(257..262) == Some(b"ustar");
    };
    let header = tar::Header::from_byte_slice(block);
    let sum: u32 = block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    header.cksum().is_ok_and(|said| said == sum) || block.iter().all(|byte| *byte == 0)
}

/// Runnable archives of some tools begin with a shell script that starts Java on the rest.
fn is_prefixed_zip(head: &[u8], path: &Path) -> bool {
    head.starts_with(b"#!") && File::open(path).is_ok_and(|file| zip::ZipArchive::new(std::io::BufReader::new(file)).is_ok())
}

fn unknown(what: &str, head: &[u8]) -> Refusal {
    match OTHERS.iter().find(|(magic, ..)| head.starts_with(magic)) {
        Some((_, is, fix)) => Refusal::new(format!("{what} is {is}"), *fix),
        None => Refusal::new(
            format!("{what} is neither an archive nor a Linux executable"),
            "upload a .tar.gz, .tar, .zip, .war, .jar or one Linux executable",
        ),
    }
}
