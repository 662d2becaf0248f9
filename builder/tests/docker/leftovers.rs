//! What a build leaves: its image, or nothing.

use std::time::{Duration, Instant};

use dinp_builder::base_make;
use dinp_common::kind::Base;
use tokio_util::sync::CancellationToken;

use super::engine::{Engine, order, refusal};
use super::files::{binary, file_of, tar_gz};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_artifact_gives_the_same_layer() {
    let engine = Engine::for_tests();
    let server = binary("-static");
    let layers = |image: &str| engine.run(&["image", "inspect", "-f", "{{json .RootFS.Layers}}", image]);
    let one = engine.image("layer-one", "server", &server).await;
    let two = engine.image("layer-two", "server", &server).await;
    assert_eq!(layers(one.id()), layers(two.id()));
    assert_ne!(one.id(), two.id(), "the labels differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn building_again_under_the_same_number_leaves_no_nameless_image_behind_it() {
    let engine = Engine::for_tests();
    let first = engine.image("again", "server", &binary("-static")).await;
    let second = engine.image("again", "site.tar.gz", &tar_gz(&[("+control", b"#!/bin/sh\n")])).await;
    assert!(!engine.inventory().iter().any(|line| line.starts_with(first.id())), "the first image is still there");
    assert!(engine.inventory().iter().any(|line| *line == format!("{} default/again:b1", second.id())));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_a_build_stops_it_and_leaves_no_image() {
    let engine = Engine::for_tests();
    let workshop = engine.workshop().await;
    let zeros = vec![0; 300 << 20];
    let file = file_of(&tar_gz(&[("+control", b"#!/bin/sh\n"), ("zeros", &zeros)]));
    let stop = CancellationToken::new();
    // In the middle: everything is read and checked, and the layer is about to be written.
    let progress = |line: String| {
        if line.starts_with("assembling") {
            stop.cancel();
        }
    };
    let order = order("stopped", "x.tar.gz");
    let outcome = workshop.build(&order, file.path(), &stop, &progress).await;
    assert!(refusal(outcome).why.contains("stopped"));
    assert!(engine.try_run(&["image", "inspect", "default/stopped:b1"]).is_err(), "an image came of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_while_a_base_is_made_stops_that_too() {
    let engine = Engine::for_tests();
    let cluster = "buildertest-stopped";
    let docker = dinp_builder::connect(std::path::Path::new(&engine.socket)).await.expect("engine");
    let working = tokio::sync::Notify::new();
    let progress = |line: String| {
        if line.contains("running apt-get update") {
            working.notify_one();
        }
    };
    let made = tokio::select! {
        made = base_make(&docker, cluster, Base::Debian, &progress) => Some(made),
        () = working.notified() => None,
    };
    assert!(made.is_none(), "it was over before it was stopped: {made:?}");
    let began = Instant::now();
    while let Some(command) = processes().into_iter().find(|command| command.contains("mmdebstrap") && command.contains(cluster))
    {
        assert!(began.elapsed() < Duration::from_secs(10), "still running: {command}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(engine.try_run(&["image", "inspect", &format!("dinp-base/debian:{cluster}")]).is_err(), "an image came of it");
}

/// The command lines and environments of all processes.
fn processes() -> Vec<String> {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let text = |path: std::path::PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).replace('\0', " ");
    all.map(|entry| text(entry.path().join("cmdline")) + &text(entry.path().join("environ"))).collect()
}
