//! The control plane dies at the worst moments, and nobody outside notices.

use std::collections::BTreeSet;
use std::time::Duration;

use dinp_common::api::Settings;
use dinp_common::health::HealthCheck;
use dinp_tests::lab::{Lab, SETTLE};
use dinp_tests::process::{gone, signal};
use dinp_tests::runner::World;
use dinp_tests::sample;
use dinp_tests::wait::until;
use nix::sys::signal::Signal;

fn settings() -> Settings {
    Settings { health: Some(HealthCheck::Http { path: "/health".into() }), ..Settings::default() }
}

/// Every point the sources name: a new one is tested without anybody adding it here.
fn failpoints() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<_> =
        ["server", "agent", "builder", "store", "planner"].map(|part| dinp_tests::root().join(part).join("src")).into();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).expect("a folder").flatten().map(|entry| entry.path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            found.extend(text.split("failpoint::here(\"").skip(1).filter_map(|rest| Some(rest.split('"').next()?.to_owned())));
        }
    }
    assert!(found.len() >= 4, "{found:?}");
    found
}

/// Takes the control plane out of its keeper's hands.
async fn orphan(lab: &Lab) {
    for role in ["keeper", "control"] {
        let pid = lab.pid(role);
        signal(pid, Signal::SIGKILL);
        gone(pid).await;
    }
}

pub async fn at_each_named_point_of_a_deploy_nothing_is_lost_doubled_or_stuck(_: &World) {
    let lab = Lab::start().await;
    lab.deploy("victim", &sample::binary(), settings()).await;
    orphan(&lab).await;
    for point in failpoints() {
        let load = lab.load("victim");
        let mut dying = lab.control(Some(&point));
        let file = sample::version(lab.folder(), &point);
        let client = lab.client();
        // It may die while the request is on its way; then nothing was asked for, and the deploy is asked for again.
        let upload = until(
            "the deploy is asked for",
            SETTLE,
            async || {
                let artifact = client.artifact_upload(&file, "victim", |_| {}).await.map_err(|error| error.to_string());
                (dying.ended().is_some(), artifact)
            },
            |(ended, artifact)| *ended || artifact.is_ok(),
        )
        .await;
        if upload.1.is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(5), lab.try_deploy("victim", &file, settings())).await;
        }
        let status = dying.end(Duration::from_secs(60)).await;
        assert!(!status.success(), "{point} was never reached");
        let living = lab.control(None);
        lab.node_ready().await;
        let begun = match lab.last_deploy("victim").await {
            Some(deploy) if !deploy.state.is_final() => deploy,
            _ => lab.deploy_begin("victim", &file, settings()).await,
        };
        let ended = lab.succeeds(&begun).await;
        let app = lab.settled("victim").await;
        assert_eq!(app.app.release, ended.to, "{point}: the deploy's release serves");
        let nodes = lab.client().nodes().await.expect("nodes").items;
        assert!(nodes.iter().all(|node| node.orphans.is_empty()), "{point}: {nodes:#?}");
        let report = load.stop().await;
        assert_eq!(report.failed, 0, "{point}: {report:#?}");
        report.assert_nothing_lost();
        living.kill().await;
    }
    lab.purge().await;
}

pub async fn the_keeper_starts_what_was_killed(_: &World) {
    let lab = Lab::start().await;
    lab.deploy("kept", &sample::binary(), settings()).await;
    let containers = lab.docker.running("kept");
    let load = lab.load("kept");
    load.warm().await;
    let control = lab.pid("control");
    signal(control, Signal::SIGKILL);
    gone(control).await;
    lab.node_ready().await;
    assert_ne!(lab.pid("control"), control);
    load.stop().await.assert_nothing_lost();
    let router = lab.pid("router");
    signal(router, Signal::SIGKILL);
    gone(router).await;
    let look = async || lab.get("kept", "/health").await.map(|answer| answer.status.as_u16()).map_err(|error| error.to_string());
    until("the router serves again", SETTLE, look, |answer| *answer == Ok(200)).await.expect("an answer");
    assert_eq!(lab.docker.running("kept"), containers, "containers feel none of it");
    lab.purge().await;
}

pub async fn an_app_that_died_with_the_control_plane_comes_back_with_it(_: &World) {
    let lab = Lab::start().await;
    lab.deploy("lonely", &sample::binary(), settings()).await;
    // The router goes on from its table; the agent is part of the control plane here, so it comes back with it.
    orphan(&lab).await;
    assert_eq!(lab.get("lonely", "/health").await.expect("the router still routes").status, 200);
    let dead = lab.docker.running("lonely");
    for container in &dead {
        lab.docker.run(&["kill", container]);
    }
    let answer = lab.get("lonely", "/health").await.expect("an answer in words");
    assert!(answer.status.is_server_error(), "{answer:?}");
    let living = lab.control(None);
    let look =
        async || lab.get("lonely", "/health").await.map(|answer| answer.status.as_u16()).map_err(|error| error.to_string());
    until("it serves again", SETTLE, look, |answer| *answer == Ok(200)).await.expect("an answer");
    lab.settled("lonely").await;
    living.terminate().await;
    lab.purge().await;
}
