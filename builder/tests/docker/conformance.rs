//! The Dockerfile we show gives the same image: the engine builds it, and both are compared.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::engine::{Built, Engine};
use super::files::{binary, folder, jar, tar_gz, tool};

/// Everything in an image: path -> type, mode, owner, link and content. Times differ by nature, and so do the files
/// Docker puts into every container.
fn file_system(engine: &Engine, image: &str) -> BTreeMap<String, String> {
    let container = engine.run(&["create", image]);
    let mut child = Command::new("docker")
        .args(["-H", &format!("unix://{}", engine.socket), "export", &container])
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker export");
    let mut all = BTreeMap::new();
    let mut archive = tar::Archive::new(child.stdout.take().expect("output"));
    for entry in archive.entries().expect("entries") {
        let mut entry = entry.expect("entry");
        let path = entry.path().expect("path").display().to_string();
        let link = entry.link_name().expect("link").map(|link| link.display().to_string());
        let header = entry.header();
        let about = format!(
            "{:?} {:o} {}:{} {link:?}",
            header.entry_type(),
            header.mode().expect("mode"),
            header.uid().expect("uid"),
            header.gid().expect("gid")
        );
        let (mut content, mut hash) = (Vec::new(), DefaultHasher::new());
        entry.read_to_end(&mut content).expect("content");
        hash.write(&content);
        all.insert(path, format!("{about} {} bytes {:x}", content.len(), hash.finish()));
    }
    assert!(child.wait().expect("docker export").success());
    engine.run(&["rm", &container]);
    all
}

fn config(engine: &Engine, image: &str) -> Value {
    let text = engine.run(&["image", "inspect", "-f", "{{json .Config}}", image]);
    let config: Value = serde_json::from_str(&text).expect("JSON");
    let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    let kept = ["User", "Env", "Cmd", "Entrypoint", "WorkingDir", "Labels", "ExposedPorts", "Volumes", "StopSignal"];
    kept.into_iter().filter(|key| !empty(&config[*key])).map(|key| (key.to_owned(), config[key].clone())).collect()
}

fn compare(engine: &Engine, built: &Built<'_>, context: &Path) {
    fs::write(context.join("Dockerfile"), built.dockerfile()).expect("Dockerfile");
    let tag = format!("dinp-builder-test:{}", &built.id()[7..19]);
    engine.run(&["build", "-q", "--rm", "-t", &tag, context.to_str().expect("path")]);
    let (theirs, ours) = (file_system(engine, &tag), file_system(engine, built.id()));
    let different: Vec<_> = theirs.iter().filter(|(path, what)| ours.get(*path) != Some(what)).collect();
    let more: Vec<_> = ours.keys().filter(|path| !theirs.contains_key(*path)).collect();
    let configs = (config(engine, &tag), config(engine, built.id()));
    engine.run(&["rmi", "-f", &tag]);
    assert!(different.is_empty() && more.is_empty(), "Docker has {different:#?}; ours has {more:?}");
    assert!(theirs.keys().any(|path| path.starts_with("app/")), "nothing was compared");
    assert_eq!(configs.0, configs.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_becomes_what_its_dockerfile_builds() {
    let engine = Engine::for_tests();
    let files: [(&str, &[u8]); 4] = [
        ("+app/control", b"#!/bin/sh\n"),
        ("app/deep/er/file.txt", b"text"),
        ("+app/bin/tool", b"#!/bin/sh\n"),
        ("app/empty", b""),
    ];
    let context = folder(&files);
    let built = engine.image("same-control", "app.tar.gz", &tar_gz(&files)).await;
    compare(&engine, &built, context.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn links_become_what_their_dockerfile_builds() {
    let engine = Engine::for_tests();
    let context = folder(&[("app/index.html", b"hi"), ("app/v2/data.json", b"{}")]);
    tool(context.path(), "ln", &["-s", "v2", "app/latest"]);
    tool(context.path(), "ln", &["-s", "../index.html", "app/v2/up.html"]);
    tool(context.path(), "tar", &["-czf", "site.tar.gz", "-C", "app", "."]);
    let content = fs::read(context.path().join("site.tar.gz")).expect("archive");
    let built = engine.image("same-links", "site.tar.gz", &content).await;
    compare(&engine, &built, context.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_becomes_what_its_dockerfile_builds() {
    let engine = Engine::for_tests();
    let server = binary("-static");
    let built = engine.image("same-binary", "server", &server).await;
    compare(&engine, &built, folder(&[("+server", &server)]).path());
    let jar = jar();
    let built = engine.image("same-jar", "hello.jar", &jar).await;
    compare(&engine, &built, folder(&[("app.jar", &jar)]).path());
}

#[tokio::test(flavor = "multi_thread")]
async fn python_becomes_what_its_dockerfile_builds() {
    let engine = Engine::for_tests();
    let files: [(&str, &[u8]); 2] = [("app/wsgi.py", b"app = None\n"), ("app/vendor/x.py", b"")];
    let built = engine.image("same-python", "app.tar.gz", &tar_gz(&files)).await;
    compare(&engine, &built, folder(&files).path());
}
