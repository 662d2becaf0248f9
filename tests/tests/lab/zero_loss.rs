//! No change to an app loses a request, with one instance or with three.

use std::time::Duration;

use dinp_common::api::{DeployView, RollbackRequest, ScaleRequest, Settings};
use dinp_common::health::HealthCheck;
use dinp_tests::http;
use dinp_tests::lab::{Lab, name};
use dinp_tests::runner::World;
use dinp_tests::sample;
use dinp_tests::wait::until;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Draining ends at the latest after its grace of 30 s.
const DRAIN: Duration = Duration::from_secs(45);

fn healthy(instances: u32) -> Settings {
    Settings { instances: Some(instances), health: Some(HealthCheck::Http { path: "/health".into() }), ..Settings::default() }
}

/// Waits until the old instances are really gone, so that the load has met the whole change.
async fn drained(lab: &Lab, app: &str, wanted: usize) {
    let look = async || lab.docker.all(app);
    until("the old instances are gone", DRAIN, look, |all| all.len() == wanted).await;
}

async fn deploys(world: &World, app: &str, instances: u32) {
    let lab = world.lab().await;
    lab.deploy(app, &sample::binary(), healthy(instances)).await;
    let load = lab.load(app);
    for round in 0..world.times(3, 20) {
        let file = sample::version(lab.folder(), &format!("{app}-{round}"));
        lab.deploy(app, &file, healthy(instances)).await;
        drained(lab, app, instances as usize).await;
    }
    let report = load.stop().await;
    report.assert_nothing_lost();
    let releases: std::collections::BTreeSet<_> = report.by_instance.keys().filter_map(|who| who.split(' ').next()).collect();
    assert!(releases.len() as u32 > world.times(3, 20), "every release served: {report:#?}");
}

pub async fn deploys_of_one_instance_lose_nothing(world: &World) {
    deploys(world, "alone", 1).await;
}

pub async fn deploys_of_three_instances_lose_nothing(world: &World) {
    deploys(world, "trio", 3).await;
}

pub async fn scaling_up_and_down_loses_nothing(world: &World) {
    let lab = world.lab().await;
    lab.deploy("stretch", &sample::binary(), healthy(1)).await;
    let before = lab.docker.running("stretch");
    let load = lab.load("stretch");
    for wanted in [4, 1] {
        let request = ScaleRequest { instances: Some(wanted), ..ScaleRequest::default() };
        lab.succeeds(&lab.client().scale(&name("stretch"), &request).await.expect("taken")).await;
        drained(lab, "stretch", wanted as usize).await;
        if wanted == 4 {
            assert!(lab.docker.running("stretch").is_superset(&before), "scaling up keeps what runs");
        }
    }
    let report = load.stop().await;
    report.assert_nothing_lost();
    assert_eq!(report.by_instance.len(), 4, "each instance took traffic: {report:#?}");
}

pub async fn rollback_and_restart_lose_nothing(world: &World) {
    let lab = world.lab().await;
    for (app, instances) in [("back-one", 1), ("back-three", 3)] {
        lab.deploy(app, &sample::binary(), healthy(instances)).await;
        let mut second = healthy(instances);
        second.env.insert(dinp_common::name::EnvKey::parse("COLOUR").expect("a key"), "blue".into());
        lab.deploy(app, &sample::binary(), second).await;
        drained(lab, app, instances as usize).await;
        let load = lab.load(app);
        let client = lab.client();
        let rolled: DeployView = client.rollback(&name(app), &RollbackRequest { to: None }).await.expect("taken");
        lab.succeeds(&rolled).await;
        drained(lab, app, instances as usize).await;
        assert!(client.env(&name(app)).await.expect("an environment").items.is_empty(), "the environment goes back too");
        let before = lab.docker.running(app);
        lab.succeeds(&client.restart(&name(app)).await.expect("taken")).await;
        drained(lab, app, instances as usize).await;
        assert!(lab.docker.running(app).is_disjoint(&before), "every container is new");
        load.stop().await.assert_nothing_lost();
    }
}

pub async fn a_websocket_lives_through_the_drain_and_is_closed_with_1001(world: &World) {
    let lab = world.lab().await;
    lab.deploy("sockets", &sample::binary(), healthy(1)).await;
    let mut socket = http::websocket(lab.router, &lab.host("sockets")).await.expect("a WebSocket");
    let hello = socket.next().await.expect("a message").expect("well").into_text().expect("text");
    assert!(hello.starts_with("v1 "), "{hello}");
    lab.succeeds(&lab.client().restart(&name("sockets")).await.expect("taken")).await;
    let withdrawn = std::time::Instant::now();
    let mut echoes = 0;
    let close = loop {
        socket.send(Message::text("still there?")).await.expect("sent");
        match tokio::time::timeout(Duration::from_secs(5), socket.next()).await.expect("an answer in time") {
            Some(Ok(Message::Text(_))) => echoes += 1,
            Some(Ok(Message::Close(close))) => break close,
            other => panic!("cut off after {:?}: {other:?}", withdrawn.elapsed()),
        }
        assert!(withdrawn.elapsed() < DRAIN, "never closed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(close.map(|frame| frame.code), Some(CloseCode::Away));
    assert!(withdrawn.elapsed() > Duration::from_secs(10) && echoes > 40, "it lived through the drain: {echoes} echoes");
    let mut again = http::websocket(lab.router, &lab.host("sockets")).await.expect("it reconnects at once");
    again.next().await.expect("a message").expect("well");
    drained(lab, "sockets", 1).await;
}
