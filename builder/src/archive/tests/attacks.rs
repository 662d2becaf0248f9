use std::time::{Duration, Instant};

use super::*;
use crate::archive::list;
use crate::refusal::Refusal;
use zip::write::SimpleFileOptions;

/// Why an archive is refused.
fn why(packing: Packing, bytes: &[u8], bounds: Bounds) -> String {
    let file = file_of(bytes);
    match list(&artifact(&file, packing, bounds)) {
        Ok(listing) => panic!("accepted with {:?}", listing.nodes),
        Err(error) => {
            let refusal = Refusal::of(&error);
            assert!(!refusal.fix.is_empty() && !refusal.fix.contains("not about the artifact"), "no fix for {error:#}");
            refusal.why
        }
    }
}

#[track_caller]
fn refused(tar: EvilTar, part: &str) {
    let bytes = tar.bytes();
    for (packing, bytes) in [(Packing::Tar, bytes.clone()), (Packing::TarGz, gzip(&bytes))] {
        let why = why(packing, &bytes, Bounds::default());
        assert!(why.contains(part), "{packing:?}: {why:?} does not say {part:?}");
    }
}

#[test]
fn a_path_that_climbs_out_is_refused() {
    refused(EvilTar::default().file("../evil", b"x"), "a path with ..");
    refused(EvilTar::default().file("a/../../evil", b"x"), "a path with ..");
}

#[test]
fn an_absolute_path_is_refused() {
    refused(EvilTar::default().file("/etc/passwd", b"x"), "an absolute path");
}

#[test]
fn devices_and_pipes_are_refused() {
    refused(EvilTar::default().entry(EntryType::Char, "null", "", 0o666, b""), "a device");
    refused(EvilTar::default().entry(EntryType::Block, "sda", "", 0o666, b""), "a device");
    refused(EvilTar::default().entry(EntryType::Fifo, "pipe", "", 0o666, b""), "a named pipe");
}

#[test]
fn a_symbolic_link_that_leads_out_is_refused() {
    for target in ["/etc/passwd", "../x", "a/../../x", "b/..", ""] {
        refused(EvilTar::default().link("link", target), "a link that leads out");
    }
    refused(EvilTar::default().link("deep/er/link", "../../../x"), "a link that leads out");
}

#[test]
fn a_symbolic_link_within_the_archive_is_fine() {
    let tar = EvilTar::default().file("bin/run", b"x").link("deep/er/link", "../../bin/run").link("run", "./bin/run").bytes();
    let file = file_of(&tar);
    assert_eq!(list(&artifact(&file, Packing::Tar, Bounds::default())).expect("fine").nodes.len(), 3);
}

#[test]
fn a_hard_link_to_what_is_not_in_the_archive_is_refused() {
    refused(EvilTar::default().entry(EntryType::Link, "shadow", "/etc/shadow", 0o644, b""), "an absolute path");
    refused(EvilTar::default().entry(EntryType::Link, "x", "../y", 0o644, b""), "a path with ..");
    refused(
        EvilTar::default().entry(EntryType::Link, "x", "later", 0o644, b"").file("later", b""),
        "a hard link to what is not a file",
    );
}

#[test]
fn a_file_behind_a_link_is_refused() {
    refused(EvilTar::default().file("b/x", b"").link("a", "b").file("a/evil", b"x"), "behind \"a\", which is no folder");
    refused(EvilTar::default().file("a", b"").file("a/evil", b"x"), "behind \"a\", which is no folder");
}

#[test]
fn setuid_and_setgid_are_refused() {
    refused(EvilTar::default().entry(EntryType::Regular, "su", "", 0o4755, b"x"), "setuid or setgid");
    refused(EvilTar::default().entry(EntryType::Regular, "su", "", 0o2755, b"x"), "setuid or setgid");
}

#[test]
fn a_name_twice_is_refused() {
    refused(EvilTar::default().file("control", b"good").file("control", b"evil"), "\"control\" twice");
    refused(EvilTar::default().file("control", b"good").file("./control", b"evil"), "\"control\" twice");
    refused(EvilTar::default().file("d/x", b"").link("d", "x"), "\"d\" twice");
}

#[test]
fn a_whiteout_which_would_delete_files_of_the_base_is_refused() {
    refused(EvilTar::default().file("etc/.wh.passwd", b""), "begins with .wh.");
    refused(EvilTar::default().file(".wh..wh..opq", b""), "begins with .wh.");
}

#[test]
fn a_truncated_archive_is_refused() {
    let whole = EvilTar::default().file("a", &[7; 5000]).file("b", &[8; 5000]).bytes();
    assert!(why(Packing::Tar, &whole[..8000], Bounds::default()).contains("truncated"));
    let packed = gzip(&whole);
    for cut in [packed.len() - 1, packed.len() - 9, packed.len() / 2, 14] {
        assert!(why(Packing::TarGz, &packed[..cut], Bounds::default()).contains("truncated"), "cut at {cut}");
    }
    let zip = zip_of(&[("control", 0o755, b"#!/bin/sh\n".as_slice())]);
    assert!(why(Packing::Zip, &zip[..zip.len() - 30], Bounds::default()).contains("truncated"));
}

#[test]
fn a_damaged_archive_is_refused() {
    let mut packed = gzip(&EvilTar::default().file("a", &[7; 5000]).bytes());
    let sum = packed.len() - 6;
    packed[sum] ^= 0xff;
    assert!(why(Packing::TarGz, &packed, Bounds::default()).contains("damaged"));
}

#[test]
fn a_long_name_cannot_fill_the_memory() {
    let tar = EvilTar::default().entry(EntryType::GNULongName, "././@LongLink", "", 0o644, &vec![b'a'; 100_000]).file("x", b"");
    refused(tar, "longer than 64 KiB");
}

#[test]
fn a_size_given_twice_is_refused() {
    let pax = EvilTar::default().entry(EntryType::XHeader, "pax", "", 0o644, b"12 size=512\n").file("x", b"four");
    refused(pax, "different sizes");
}

#[test]
fn too_many_entries_are_refused() {
    let bounds = Bounds { entries: 100, ..Bounds::default() };
    let tar = (0..101).fold(EvilTar::default(), |tar, n| tar.file(&format!("f{n}"), b"")).bytes();
    assert!(why(Packing::Tar, &tar, bounds).contains("more than 100 files"));
    // Folders nobody listed count as well.
    let deep = format!("{}f", "d/".repeat(45));
    let tar = (0..3).fold(EvilTar::default(), |tar, n| tar.file(&format!("{n}{deep}"), b"")).bytes();
    assert!(why(Packing::Tar, &tar, bounds).contains("more than 100 files"));
}

/// 10 GB of zeros in 10 MB: gzip members of 64 MiB each, repeated.
fn bomb(header: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![0; 64 << 20]).expect("gzip");
    let zeros = encoder.finish().expect("gzip");
    let mut bytes = gzip(header);
    for _ in 0..160 {
        bytes.extend_from_slice(&zeros);
    }
    bytes
}

#[test]
fn a_bomb_in_one_file_stops_at_its_header() {
    let mut header = Header::new_gnu();
    header.set_path("zeros").expect("path");
    header.set_size(10 << 30);
    header.set_mode(0o644);
    header.set_mtime(MTIME);
    header.set_cksum();
    let bytes = bomb(header.as_bytes());
    assert!(bytes.len() < 12 << 20, "{} bytes", bytes.len());
    let began = Instant::now();
    assert!(why(Packing::TarGz, &bytes, Bounds::default()).contains("unpacks to more than 4 GiB"));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_bomb_behind_the_end_of_the_archive_stops_at_the_bound() {
    let bounds = Bounds { bytes: 16 << 20, entries: 10 };
    assert!(
        why(Packing::TarGz, &bomb(&EvilTar::default().file("x", b"x").bytes()), bounds).contains("unpacks to more than 16 MiB")
    );
}

#[test]
fn a_bomb_of_many_files_stops_at_the_bound() {
    let tar = (0..5).fold(EvilTar::default(), |tar, n| tar.file(&format!("f{n}"), &vec![0; 1 << 20]));
    let bounds = Bounds { bytes: 4 << 20, ..Bounds::default() };
    assert!(why(Packing::TarGz, &tar.gz(), bounds).contains("unpacks to more than 4 MiB"));
}

fn zip_of(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, mode, content) in files {
        zip.start_file(*name, SimpleFileOptions::default().unix_permissions(*mode)).expect("zip");
        zip.write_all(content).expect("zip");
    }
    zip.finish().expect("zip").into_inner()
}

#[test]
fn a_zip_keeps_to_the_same_rules() {
    let is = |zip: &[u8], part: &str| {
        let why = why(Packing::Zip, zip, Bounds::default());
        assert!(why.contains(part), "{why:?} does not say {part:?}");
    };
    is(&zip_of(&[("../evil", 0o644, b"x")]), "a path with ..");
    is(&zip_of(&[("/etc/passwd", 0o644, b"x")]), "an absolute path");
    is(&zip_of(&[("a\\b", 0o644, b"x")]), "backslashes");
    let mut link = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    link.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).expect("zip");
    is(&link.finish().expect("zip").into_inner(), "a link that leads out");
    let small = Bounds { bytes: 1 << 20, ..Bounds::default() };
    let bomb = zip_of(&[("zeros", 0o644, &vec![0; 2 << 20])]);
    assert!(bomb.len() < 10_000);
    assert!(why(Packing::Zip, &bomb, small).contains("unpacks to more than 1 MiB"));
}

#[test]
fn a_zip_that_lies_about_a_size_is_refused() {
    let mut zip = zip_of(&[("a", 0o644, &vec![b'x'; 100_000])]);
    // The central directory's uncompressed size stands 24 bytes into its entry.
    let at = zip.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").expect("directory") + 24;
    zip[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
    let why = why(Packing::Zip, &zip, Bounds::default());
    assert!(why.contains("damaged"), "{why}");
}

#[test]
fn a_zip_with_a_setuid_file_is_refused() {
    let mut zip = zip_of(&[("su", 0o755, b"x")]);
    // The upper half of the external attributes, 38 bytes into the entry, is the Unix mode.
    let at = zip.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").expect("directory") + 40;
    zip[at..at + 2].copy_from_slice(&0o104_755_u32.to_le_bytes()[..2]);
    let why = why(Packing::Zip, &zip, Bounds::default());
    assert!(why.contains("setuid"), "{why}");
}

#[test]
fn a_stopped_build_reads_no_further() {
    let file = file_of(&EvilTar::default().file("x", b"x").bytes());
    let artifact = artifact(&file, Packing::Tar, Bounds::default());
    artifact.stop.cancel();
    let error = list(&artifact).expect_err("stopped");
    assert!(Refusal::of(&error).why.contains("stopped"), "{error:#}");
}
