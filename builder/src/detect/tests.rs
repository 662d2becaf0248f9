use dinp_common::build::BuildId;
use dinp_common::digest::Digest;
use dinp_common::kind::Base;
use dinp_common::name::AppName;
use zip::write::SimpleFileOptions;

use super::*;
use crate::archive::tests::{EvilTar, file_of, gzip};

/// An upload of the app `shop` under this name.
pub(crate) fn order(file_name: &str) -> BuildOrder {
    BuildOrder {
        id: BuildId(1),
        app: AppName::parse("shop").expect("name"),
        artifact: Digest::from_sha256([7; 32]),
        artifact_bytes: 0,
        file_name: file_name.to_owned(),
        kind: None,
        start: None,
    }
}

fn examined(order: &BuildOrder, bytes: &[u8]) -> anyhow::Result<Examined> {
    let file = file_of(bytes);
    examine(order, file.path(), Bounds::default(), CancellationToken::new())
}

#[track_caller]
fn found(bytes: &[u8]) -> Examined {
    examined(&order("upload.bin"), bytes).expect("accepted")
}

#[track_caller]
fn refusal(order: &BuildOrder, bytes: &[u8]) -> String {
    let refusal = Refusal::of(&examined(order, bytes).expect_err("refused"));
    assert!(!refusal.fix.contains("not about the artifact"), "{refusal:?}");
    format!("{} / {}", refusal.why, refusal.fix)
}

#[track_caller]
fn refused(bytes: &[u8], part: &str) {
    let said = refusal(&order("upload.bin"), bytes);
    assert!(said.contains(part), "{said:?} does not say {part:?}");
}

fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default().unix_permissions(0o755)).expect("zip");
        zip.write_all(content.as_bytes()).expect("zip");
    }
    zip.finish().expect("zip").into_inner()
}

/// An ELF executable of one segment, for `machine`; with a loader if one is given.
pub(crate) fn elf(machine: u16, loader: Option<&str>) -> Vec<u8> {
    let mut bytes = vec![0_u8; 0x200];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16..18].copy_from_slice(&2_u16.to_le_bytes());
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[24..32].copy_from_slice(&0x40_0000_u64.to_le_bytes());
    bytes[32..40].copy_from_slice(&64_u64.to_le_bytes());
    bytes[54..56].copy_from_slice(&56_u16.to_le_bytes());
    bytes[56..58].copy_from_slice(&2_u16.to_le_bytes());
    bytes[64..68].copy_from_slice(&1_u32.to_le_bytes());
    bytes[96..104].copy_from_slice(&0x200_u64.to_le_bytes());
    if let Some(loader) = loader {
        bytes[120..124].copy_from_slice(&3_u32.to_le_bytes());
        bytes[128..136].copy_from_slice(&0x100_u64.to_le_bytes());
        bytes[152..160].copy_from_slice(&(loader.len() as u64 + 1).to_le_bytes());
        bytes[0x100..0x100 + loader.len()].copy_from_slice(loader.as_bytes());
    }
    bytes
}

const THIS: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
const OTHER: u16 = if cfg!(target_arch = "aarch64") { 62 } else { 183 };

#[test]
fn each_kind_is_found_by_content() {
    let sh = b"#!/bin/sh\n";
    type Row = (Vec<u8>, Kind, Option<Base>, &'static [&'static str]);
    let table: Vec<Row> = vec![
        (EvilTar::default().program("control", sh).gz(), Kind::Control, Some(Base::Debian), &["/app/control", "start", "8080"]),
        (
            EvilTar::default().program("./control", sh).bytes(),
            Kind::Control,
            Some(Base::Debian),
            &["/app/control", "start", "8080"],
        ),
        (zip_of(&[("control", "#!/bin/sh\n")]), Kind::Control, Some(Base::Debian), &["/app/control", "start", "8080"]),
        (elf(THIS, None), Kind::Binary, None, &["/app/upload.bin"]),
        (gzip(&elf(THIS, None)), Kind::Binary, None, &["/app/upload.bin"]),
        (elf(THIS, Some("/lib64/ld-linux-x86-64.so.2")), Kind::Binary, Some(Base::Debian), &["/app/upload.bin"]),
        (zip_of(&[("WEB-INF/web.xml", "<web-app/>"), ("index.html", "")]), Kind::War, Some(Base::Java), &["serve-war"]),
        (zip_of(&[("META-INF/MANIFEST.MF", "Main-Class: Hello\n"), ("Hello.class", "")]), Kind::Jar, Some(Base::Java), &["java"]),
        (
            EvilTar::default().file("wsgi.py", b"def application(env, start): pass").gz(),
            Kind::Python,
            Some(Base::Python),
            &["gunicorn"],
        ),
        (EvilTar::default().file("main.py", b"print()").gz(), Kind::Python, Some(Base::Python), &["python3", "main.py"]),
        (EvilTar::default().file("index.html", b"hi").gz(), Kind::Static, Some(Base::Web), &["serve-static"]),
    ];
    for (bytes, kind, base, start) in table {
        let found = found(&bytes);
        assert_eq!((found.recipe.kind, found.recipe.base), (kind, base));
        assert!(found.recipe.start.iter().zip(start).all(|(is, wanted)| is == wanted), "{kind}: {:?}", found.recipe.start);
    }
}

#[test]
fn a_single_top_folder_goes_and_is_said() {
    let found = found(&EvilTar::default().file("site-1.2/index.html", b"hi").file("site-1.2/css/a.css", b"").gz());
    assert_eq!(found.plan, LayerPlan::Tree { strip: Some("site-1.2".to_owned()) });
    assert!(found.notes.iter().any(|note| note.contains("site-1.2/ holds everything")), "{:?}", found.notes);
}

#[test]
fn a_top_folder_with_a_meaning_stays() {
    let found = found(&zip_of(&[("WEB-INF/web.xml", "<web-app/>"), ("WEB-INF/classes/A.class", "")]));
    assert_eq!(found.plan, LayerPlan::Tree { strip: None });
}

#[test]
fn what_people_say_it_is_overrides_what_it_looks_like() {
    let bytes = EvilTar::default().program("control", b"#!/bin/sh\n").file("index.html", b"hi").gz();
    let order = BuildOrder { kind: Some(Kind::Static), ..order("x") };
    assert_eq!(examined(&order, &bytes).expect("static").recipe.kind, Kind::Static);
    let order = BuildOrder { kind: Some(Kind::Python), ..order };
    assert!(refusal(&order, &bytes).contains("it has no wsgi.py or main.py (found: control, index.html)"));
}

#[test]
fn a_start_command_makes_any_archive_run() {
    let order = BuildOrder { start: Some(vec!["./server".to_owned(), "--fast".to_owned()]), ..order("x") };
    let found = examined(&order, &EvilTar::default().program("server", b"#!/bin/sh\n").gz()).expect("accepted");
    assert_eq!((found.recipe.kind, found.recipe.start), (Kind::Control, vec!["./server".to_owned(), "--fast".to_owned()]));
}

#[test]
fn nothing_to_start_says_what_was_looked_for_and_found() {
    let bytes = EvilTar::default().file("app/server.js", b"").file("app/package.json", b"").gz();
    refused(
        &bytes,
        "no start command found (looked for: control, wsgi.py, main.py, WEB-INF, Main-Class, index.html; found: package.json, server.js)",
    );
    refused(&bytes, "with node in the archive");
}

#[test]
fn what_is_no_archive_is_named() {
    refused(b"", "the file is empty");
    refused(b"hello world, this is a text", "neither an archive nor a Linux executable");
    refused(b"MZ\x90\0 and so on", "a Windows program");
    refused(b"\xfd7zXZ\0rest", "xz archive, which is not read in this version");
    refused(b"\x28\xb5\x2f\xfdrest", "zstd archive, which is not read in this version");
    refused(b"#!/bin/sh\necho hi\n", "an executable file named control");
    refused(&gzip(b"just text"), "the content of the gzip file is neither");
    refused(&gzip(b""), "holds nothing");
    refused(&EvilTar::default().bytes(), "the archive is empty");
    refused(&zip_of(&[]), "the archive is empty");
}

#[test]
fn an_executable_for_another_machine_is_refused_by_both_names() {
    let said = refusal(&order("x"), &elf(OTHER, None));
    assert!(said.contains("64-bit ARM") && said.contains("x86-64"), "{said}");
    let control = EvilTar::default().program("control", &elf(OTHER, None)).gz();
    assert!(refusal(&order("x"), &control).contains("control is built for"));
}

#[test]
fn a_broken_executable_is_refused() {
    let whole = elf(THIS, None);
    refused(&whole[..300], "truncated");
    refused(&whole[..40], "truncated");
    let mut library = whole.clone();
    library[16] = 3;
    library[24..32].fill(0);
    refused(&library, "a shared library");
    refused(&elf(THIS, Some("/lib/ld-musl-x86_64.so.1")), "of musl");
}

#[test]
fn a_control_that_cannot_start_is_refused() {
    refused(&EvilTar::default().file("control", b"#!/bin/sh\n").gz(), "not executable");
    refused(&EvilTar::default().program("control", b"#!/bin/sh\r\necho\r\n").gz(), "Windows line ends");
    refused(&EvilTar::default().program("control", b"echo hi\n").gz(), "does not begin with #!");
}

#[test]
fn a_war_says_which_servlet_api_it_wants() {
    let start = |files: &[(&str, &str)]| found(&zip_of(files)).recipe.start;
    let javax = ["serve-war", "--javax"];
    assert_eq!(start(&[("WEB-INF/web.xml", "<x/>"), ("WEB-INF/classes/A.class", "\0javax/servlet/http/HttpServlet")]), javax);
    assert_eq!(start(&[("WEB-INF/web.xml", "xmlns=\"http://xmlns.jcp.org/xml/ns/javaee\"")]), javax);
    assert_eq!(start(&[("WEB-INF/web.xml", "xmlns=\"https://jakarta.ee/xml/ns/jakartaee\"")]), ["serve-war"]);
    let both =
        [("WEB-INF/web.xml", "http://xmlns.jcp.org/xml/ns/javaee"), ("WEB-INF/classes/A.class", "jakarta/servlet/Servlet")];
    assert_eq!(start(&both), ["serve-war"]);
}

#[test]
fn a_jar_without_a_main_class_is_refused() {
    let order = BuildOrder { kind: Some(Kind::Jar), ..order("x.jar") };
    let said = refusal(&order, &zip_of(&[("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"), ("A.class", "")]));
    assert!(said.contains("has no Main-Class"), "{said}");
}

#[test]
fn python_libraries_are_found() {
    let found = found(
        &EvilTar::default()
            .file("wsgi.py", b"from shop import create_app\napp = create_app()\n")
            .file("vendor/flask/__init__.py", b"")
            .file("wheels/six-1.16.0-py2.py3-none-any.whl", b"PK")
            .gz(),
    );
    assert!(found.recipe.start.ends_with(&["wsgi:app".to_owned()]), "{:?}", found.recipe.start);
    let path = found.recipe.env.iter().find(|(key, _)| key == "PYTHONPATH").map(|(_, value)| value.as_str());
    assert_eq!(path, Some("/app/vendor:/app/wheels/six-1.16.0-py2.py3-none-any.whl"));
    let compiled = EvilTar::default().file("main.py", b"").file("wheels/numpy-2-cp311-cp311-manylinux_2_17_x86_64.whl", b"PK");
    refused(&compiled.gz(), "pip install --target vendor");
    refused(&EvilTar::default().file("wsgi.py", b"# application\nprint('hi')\n").gz(), "neither \"application\" nor \"app\"");
}

#[test]
fn a_program_gets_a_plain_name() {
    assert_eq!(program_name("/tmp/My Server; rm -rf.bin"), "MyServerrm-rf.bin");
    assert_eq!(program_name("../../x.gz"), "x");
    assert_eq!(program_name("---"), "app");
}
