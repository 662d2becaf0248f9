//! Every kind of artifact, from a real file to the right content, and each once wrong.

use std::path::Path;
use std::time::Duration;

use dinp_common::api::{DeployView, Settings};
use dinp_common::deploy::{Cause, DeployState};
use dinp_common::kind::Kind;
use dinp_tests::lab::Lab;
use dinp_tests::runner::World;
use dinp_tests::sample;
use dinp_tests::wait::until;

use crate::artifacts;

/// The first deploy of a kind makes its base from Debian packages.
const WITH_BASE: Duration = Duration::from_secs(300);

async fn serves(lab: &Lab, app: &str, file: &Path, kind: Kind, path: &str, content: &str) {
    let begun = lab.deploy_begin(app, file, Settings::default()).await;
    let client = lab.client();
    let look = async || client.deploy_wait(&begun.app, begun.number, Duration::from_secs(5)).await.expect("an answer");
    let ended = until("the deploy ends", WITH_BASE, look, |deploy| deploy.state.is_final()).await;
    assert_eq!(ended.state, DeployState::Succeeded, "{ended:#?}");
    let build = ended.build.expect("a build");
    assert_eq!(build.kind, Some(kind));
    assert!(build.dockerfile.is_some_and(|text| text.contains("FROM")), "the Dockerfile is shown");
    let answer = lab.get(app, path).await.expect("an answer");
    assert!(answer.status == 200 && answer.body.contains(content), "{answer:?}");
    lab.dinp(&["delete", app, "--confirm", app]).await;
}

/// The build fails, and says why and what to do.
async fn refused(lab: &Lab, app: &str, file: &Path, why: &str) {
    let begun = lab.deploy_begin(app, file, Settings::default()).await;
    let ended: DeployView = lab.deploy_end(&begun).await;
    let failure = ended.failure.clone().unwrap_or_else(|| panic!("no cause: {ended:#?}"));
    assert_eq!((ended.state, failure.cause), (DeployState::Failed, Cause::BuildFailed), "{failure:#?}");
    assert!(failure.why.contains(why), "{failure:#?}");
    assert!(!failure.fix.is_empty(), "{failure:#?}");
    assert_eq!(lab.docker.all(app).len(), 0);
}

pub async fn an_archive_with_control_runs(world: &World) {
    let lab = world.lab().await;
    let folder = lab.folder().join("control");
    artifacts::executable(&folder, "control", "#!/bin/sh\n[ \"$1\" = start ] && PORT=$2 exec ./bin/server\n");
    artifacts::executable(&folder, "bin/server", std::fs::read(sample::binary()).expect("the sample"));
    serves(lab, "by-tar", &artifacts::tar_gz(&folder, "control.tar.gz"), Kind::Control, "/whoami", "\"app\":\"by-tar\"").await;
    serves(lab, "by-zip", &artifacts::zip(&folder, "control.zip"), Kind::Control, "/whoami", "\"app\":\"by-zip\"").await;
    let wrong = lab.folder().join("control-wrong");
    artifacts::write(&wrong, "control", "#!/bin/sh\nexec true\n");
    refused(lab, "no-control", &artifacts::tar_gz(&wrong, "no-control.tar.gz"), "not executable").await;
}

pub async fn a_folder_of_static_files_is_served(world: &World) {
    let lab = world.lab().await;
    let folder = lab.folder().join("site");
    artifacts::write(&folder, "index.html", "<h1>hello from a folder</h1>");
    artifacts::write(&folder, "deep/page.html", "a page further down");
    let output = lab.dinp(&["deploy", folder.to_str().expect("UTF-8"), "-a", "by-folder"]).await;
    assert!(output.status.success(), "{}", dinp_tests::lab::said(&output));
    let front = lab.get("by-folder", "/").await.expect("an answer");
    assert!(front.body.contains("hello from a folder"), "{front:?}");
    let deep = lab.get("by-folder", "/deep/page.html").await.expect("an answer");
    assert!(deep.body.contains("further down"), "{deep:?}");
    assert_eq!(lab.get("by-folder", "/missing").await.expect("an answer").status, 404);
    assert_ne!(lab.get("by-folder", "/../../etc/passwd").await.expect("an answer").status, 200);
    let empty = lab.folder().join("empty");
    std::fs::create_dir_all(&empty).expect("a folder");
    refused(lab, "no-site", &artifacts::tar_gz(&empty, "empty.tar.gz"), "empty").await;
}

pub async fn a_python_app_runs(world: &World) {
    let lab = world.lab().await;
    let folder = lab.folder().join("python");
    let app = "def application(environ, start):\n    start('200 OK', [('Content-Type', 'text/plain')])\n    return [b'hello from wsgi']\n";
    artifacts::write(&folder, "wsgi.py", app);
    serves(lab, "by-wsgi", &artifacts::tar_gz(&folder, "python.tar.gz"), Kind::Python, "/", "hello from wsgi").await;
    let wrong = lab.folder().join("python-wrong");
    artifacts::write(&wrong, "wsgi.py", "handler = None\n");
    refused(lab, "no-wsgi", &artifacts::tar_gz(&wrong, "no-wsgi.tar.gz"), "application").await;
}

pub async fn java_archives_run(world: &World) {
    let lab = world.lab().await;
    let folder = lab.folder().join("java");
    std::fs::create_dir_all(&folder).expect("a folder");
    serves(lab, "by-jar", &artifacts::jar(&folder, true), Kind::Jar, "/", "hello from a jar").await;
    serves(lab, "by-war", &artifacts::war(&folder), Kind::War, "/", "hello from a war, 42").await;
    refused(lab, "no-main", &artifacts::jar(&folder, false), "Main-Class").await;
}

pub async fn a_binary_of_another_machine_is_refused(world: &World) {
    let lab = world.lab().await;
    let mut bytes = std::fs::read(sample::binary()).expect("the sample");
    // e_machine, at 18 of the ELF header: 183 is AArch64.
    bytes[18..20].copy_from_slice(&183u16.to_le_bytes());
    let file = artifacts::executable(lab.folder(), "foreign", bytes);
    refused(lab, "foreign", &file, "64-bit ARM").await;
}
