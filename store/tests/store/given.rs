//! Nouns for the tests, valid and short.

use std::collections::BTreeMap;

use dinp_common::api::Settings;
use dinp_common::deploy::{Cause, Deploy, DeployKind, Failure, Strategy};
use dinp_common::digest::{Digest, Image};
use dinp_common::event::Severity;
use dinp_common::fence::Fence;
use dinp_common::health::HealthCheck;
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::kind::Kind;
use dinp_common::name::{AppName, EnvKey, NodeName};
use dinp_common::placement::Placement;
use dinp_common::plan::{Change, Note};
use dinp_common::release::{EnvValue, ReleaseNo, RunSpec};
use dinp_common::size::{Cpu, MiB};
use dinp_store::{Intent, NewBuild, NewRelease, Store};

pub fn name(text: &str) -> AppName {
    AppName::parse(text).expect("a name")
}

pub fn node(text: &str) -> NodeName {
    NodeName::parse(text).expect("a name")
}

pub fn digest(n: u8) -> Digest {
    Digest::from_sha256([n; 32])
}

/// A spec with a value in every field; `n` tells images apart.
pub fn spec(n: u8) -> RunSpec {
    let key = |text| EnvKey::parse(text).expect("a key");
    RunSpec {
        image: Image {
            config: digest(n),
            manifest: Some(digest(n + 100)),
            name: format!("default/shop:b{n}"),
            bytes: 5_000_000_000,
        },
        env: BTreeMap::from([
            (key("PLAIN"), EnvValue::plain("größer ' \" \\ 🦀\n")),
            (key("SECRET"), EnvValue { value: "s3cret".to_owned(), sealed: true }),
        ]),
        memory: MiB(512),
        cpu: Some(Cpu(1_500)),
        placement: Placement {
            labels: BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]),
            zones: ["a".to_owned(), "b".to_owned()].into(),
            per_node: Some(2),
        },
        port: 8080,
        health: HealthCheck::Http { path: "/health".to_owned() },
        command: Some(vec!["./run".to_owned(), "--fast".to_owned()]),
        stop_grace_seconds: 10,
    }
}

pub fn release(n: u8) -> NewRelease {
    NewRelease { spec: spec(n), note: format!("release {n}"), build: None }
}

pub fn build() -> NewBuild {
    NewBuild {
        artifact: digest(7),
        artifact_bytes: 3_000_000_000,
        file_name: "shop 'v2'.war".to_owned(),
        kind: Some(Kind::War),
        start: Some(vec!["./start".to_owned()]),
    }
}

/// An intent that changes nothing by itself.
pub fn intent(app: &str, kind: DeployKind) -> Intent {
    Intent {
        app: name(app),
        create: false,
        expect_revision: None,
        based_on: None,
        kind,
        strategy: Strategy::Rolling,
        note: format!("{kind} of {app}"),
        author: "ann".to_owned(),
        deadline_ms: 60_000,
        instances: None,
        stopped: None,
        deleted: false,
        release: None,
        build: None,
        settings: Settings::default(),
        restart: false,
        request: None,
    }
}

/// Deploys image `n`, making the app where it does not exist.
pub async fn deployed(store: &Store, app: &str, n: u8) -> Deploy {
    let intent = Intent { create: true, release: Some(release(n)), ..intent(app, DeployKind::Release) };
    store.deploy_begin(intent).await.expect("begins")
}

/// Deploys an artifact.
pub async fn uploaded(store: &Store, app: &str) -> Deploy {
    let intent = Intent { create: true, build: Some(build()), ..intent(app, DeployKind::Release) };
    store.deploy_begin(intent).await.expect("begins")
}

pub async fn leader(store: &Store) -> Fence {
    let seen = store.lease_read().await.expect("reads");
    store.lease_take(&seen, "leader", 0).await.expect("answers").expect("takes")
}

pub fn instance(app: &str, release: u32, sequence: u64) -> Instance {
    Instance {
        id: InstanceId::from_sequence(sequence),
        app: name(app),
        release: ReleaseNo(release),
        generation: 0,
        node: node("n1"),
        index: 0,
        want: Want::Run,
        proven: false,
        spent_ms: 0,
        address: None,
        reason: "one instance is wanted".to_owned(),
    }
}

pub fn place(app: &str, release: u32, sequence: u64) -> Change {
    Change::Place { instance: instance(app, release, sequence), sequence }
}

pub fn failure() -> Failure {
    Failure {
        cause: Cause::BuildFailed,
        why: "The build failed".to_owned(),
        now: "v1 serves".to_owned(),
        fix: "Look at its log".to_owned(),
        output: Some("last words".to_owned()),
    }
}

pub fn note(text: &str, app: Option<&str>) -> Note {
    Note {
        severity: Severity::Warning,
        kind: "test",
        app: app.map(name),
        instance: Some(InstanceId::from_sequence(1)),
        node: Some(node("n1")),
        text: text.to_owned(),
        detail: Some("detail".to_owned()),
    }
}
