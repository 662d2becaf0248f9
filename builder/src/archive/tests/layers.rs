use std::collections::BTreeMap;
use std::io::Read;

use super::*;
use crate::archive::{LayerPlan, measure, write_layer};

fn layer(bytes: &[u8], packing: Packing, plan: &LayerPlan) -> Vec<u8> {
    let file = file_of(bytes);
    let artifact = artifact(&file, packing, Bounds::default());
    let mut out = Vec::new();
    write_layer(&artifact, plan, &mut out).expect("layer");
    let sum = measure(&artifact, plan).expect("sum");
    assert_eq!(sum.bytes, out.len() as u64);
    out
}

/// `path -> type mode uid mtime link content`.
fn shown(layer: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(layer);
    let mut all = BTreeMap::new();
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("entry");
        let mut content = String::new();
        let path = entry.path().expect("path").display().to_string();
        let link = entry.link_name().expect("link").map(|link| format!(" -> {}", link.display())).unwrap_or_default();
        let header = entry.header();
        let (kind, mode) = (header.entry_type().as_byte() as char, header.mode().expect("mode"));
        let (uid, gid, mtime) = (header.uid().expect("uid"), header.gid().expect("gid"), header.mtime().expect("mtime"));
        entry.read_to_string(&mut content).expect("content");
        let before =
            all.insert(path.clone(), format!("{kind} {mode:o} {uid}:{gid} {mtime}{link} {content}").trim_end().to_owned());
        assert_eq!(before, None, "{path} twice");
    }
    all
}

#[test]
fn owners_modes_and_order_are_fixed_and_the_top_folder_goes() {
    let tar = EvilTar::default()
        .entry(EntryType::Directory, "shop-2.3/", "", 0o700, b"")
        .entry(EntryType::Regular, "shop-2.3/control", "", 0o700, b"#!/bin/sh\n")
        .entry(EntryType::Regular, "shop-2.3/lib/a.txt", "", 0o600, b"a")
        .link("shop-2.3/lib/b", "../control")
        .entry(EntryType::Link, "shop-2.3/c", "shop-2.3/lib/a.txt", 0o600, b"");
    let expected: BTreeMap<String, String> = [
        ("app/", "5 755 1000:1000 1000000000"),
        ("app/control", "0 755 1000:1000 1600000000 #!/bin/sh"),
        ("app/lib/", "5 755 1000:1000 1000000000"),
        ("app/lib/a.txt", "0 644 1000:1000 1600000000 a"),
        ("app/lib/b", "2 777 1000:1000 1600000000 -> ../control"),
        ("app/c", "1 644 1000:1000 1600000000 -> app/lib/a.txt"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into();
    let plan = LayerPlan::Tree { strip: Some("shop-2.3".to_owned()) };
    assert_eq!(shown(&layer(&tar.bytes(), Packing::Tar, &plan)), expected);
}

#[test]
fn a_link_into_the_top_folder_from_beside_is_refused_once_the_folder_goes() {
    let tar = EvilTar::default().file("top/x", b"").link("top/link", "../top/x").bytes();
    let file = file_of(&tar);
    let plan = LayerPlan::Tree { strip: Some("top".to_owned()) };
    let error = measure(&artifact(&file, Packing::Tar, Bounds::default()), &plan).expect_err("escapes");
    assert!(error.to_string().contains("leads out"), "{error:#}");
}

#[test]
fn the_same_content_gives_the_same_layer_however_it_was_owned() {
    let plan = LayerPlan::Tree { strip: None };
    let one = EvilTar::default().entry(EntryType::Regular, "x", "", 0o600, b"x").bytes();
    let two = EvilTar::default().entry(EntryType::Regular, "./x", "", 0o666, b"x").bytes();
    assert_eq!(layer(&one, Packing::Tar, &plan), layer(&gzip(&two), Packing::TarGz, &plan));
}

#[test]
fn long_names_survive() {
    let name = format!("{}/{}.txt", "folder".repeat(20), "name".repeat(40));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    builder.append_data(&mut header, &name, b"x".as_slice()).expect("tar");
    let shown = shown(&layer(&builder.into_inner().expect("tar"), Packing::Tar, &LayerPlan::Tree { strip: None }));
    assert!(shown.contains_key(&format!("app/{name}")), "{shown:?}");
}

#[test]
fn a_pax_name_is_the_name() {
    let tar = EvilTar::default().entry(EntryType::XHeader, "pax", "", 0o644, b"18 path=f\xc3\xbcr alle\n").file("short", b"x");
    let shown = shown(&layer(&tar.bytes(), Packing::Tar, &LayerPlan::Tree { strip: None }));
    assert!(shown.contains_key("app/für alle"), "{shown:?}");
}

#[test]
fn one_file_becomes_the_program() {
    let plan = LayerPlan::File { name: "hello".to_owned(), executable: true };
    for (bytes, packing) in [(b"content".to_vec(), Packing::Plain), (gzip(b"content"), Packing::Gzip)] {
        assert_eq!(shown(&layer(&bytes, packing, &plan))["app/hello"], "0 755 1000:1000 1000000000 content");
    }
}

#[test]
fn a_zip_without_permissions_knows_programs_by_how_they_begin() {
    use zip::write::SimpleFileOptions;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in [("control", "#!/bin/sh\n"), ("readme", "hello"), ("__MACOSX/._control", "junk")] {
        zip.start_file(name, SimpleFileOptions::default().unix_permissions(0o644)).expect("zip");
        zip.write_all(content.as_bytes()).expect("zip");
    }
    let mut bytes = zip.finish().expect("zip").into_inner();
    // "Made by" MS-DOS, and no Unix mode in the attributes.
    let entries: Vec<usize> = bytes.windows(4).enumerate().filter(|(_, at)| *at == b"PK\x01\x02").map(|(at, _)| at).collect();
    for at in entries {
        bytes[at + 5] = 0;
        bytes[at + 38..at + 42].fill(0);
    }
    let shown = shown(&layer(&bytes, Packing::Zip, &LayerPlan::Tree { strip: None }));
    assert!(shown["app/control"].starts_with("0 755"), "{shown:?}");
    assert!(shown["app/readme"].starts_with("0 644"), "{shown:?}");
    assert_eq!(shown.len(), 3, "{shown:?}");
}

#[test]
fn a_time_nobody_set_is_drawn_from_the_artifact() {
    assert_eq!(crate::archive::layer::sane_mtime(0, 5), 5);
    assert_eq!(crate::archive::layer::sane_mtime(315_532_800, 5), 5, "1980, as zips without a date say");
    assert_eq!(crate::archive::layer::sane_mtime(MTIME, 5), MTIME);
}
