//! What a build leaves: its image, or nothing.

use tokio_util::sync::CancellationToken;

use super::engine::{Engine, order, refusal};
use super::files::{binary, file_of, tar_gz};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_artifact_gives_the_same_layer() {
    let Some(engine) = Engine::for_tests() else { return };
    let server = binary("-static");
    let layers = |image: &str| engine.run(&["image", "inspect", "-f", "{{json .RootFS.Layers}}", image]);
    let one = engine.image("layer-one", "server", &server).await;
    let two = engine.image("layer-two", "server", &server).await;
    assert_eq!(layers(one.id()), layers(two.id()));
    assert_ne!(one.id(), two.id(), "the labels differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn building_again_under_the_same_number_leaves_no_nameless_image_behind_it() {
    let Some(engine) = Engine::for_tests() else { return };
    let first = engine.image("again", "server", &binary("-static")).await;
    let second = engine.image("again", "site.tar.gz", &tar_gz(&[("+control", b"#!/bin/sh\n")])).await;
    assert!(!engine.inventory().iter().any(|line| line.starts_with(first.id())), "the first image is still there");
    assert!(engine.inventory().iter().any(|line| *line == format!("{} default/again:b1", second.id())));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_a_build_stops_it_and_leaves_no_image() {
    let Some(engine) = Engine::for_tests() else { return };
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
