//! From an image that is there to the first answer through the router, beside Docker alone.

use std::time::{Duration, Instant};

use dinp_common::api::{DeployRequest, Settings, Source};
use dinp_common::health::HealthCheck;
use dinp_tests::lab::{Lab, SETTLE, name};
use dinp_tests::wait::until;

use crate::raw::{IMAGE, Peer};
use crate::row::Row;
use crate::samples::Samples;
use crate::{Asked, first};

/// One instance with an HTTP health check.
pub fn settings() -> Settings {
    Settings { instances: Some(1), health: Some(HealthCheck::Http { path: "/health".into() }), ..Settings::default() }
}

pub async fn measure(lab: &Lab, peer: &Peer, asked: &Asked) -> Vec<Row> {
    let (mut raw, mut ours) = (Samples::default(), Samples::default());
    // The first of each warms caches up, and is not counted.
    peer.once(IMAGE).await;
    once(lab, "ready-warm").await;
    for n in 0..asked.times(10, 40) {
        raw.add(peer.once(IMAGE).await);
        ours.add(once(lab, &format!("ready-{n}")).await);
    }
    let beside = format!("Docker alone {}; through DINP {}", raw.told(), ours.told());
    let row = |figure, at_least, aim, measured| Row { figure, at_least, aim, measured, unit: "ms", beside: beside.clone() };
    vec![
        row("ready image to first 200, over Docker alone, p50", 40.0, 15.0, ours.p50() - raw.p50()),
        row("ready image to first 200, over Docker alone, p99", 120.0, 50.0, ours.p99() - raw.p99()),
    ]
}

/// A new app of the image, from the request to the first answer; the app is gone again when this returns.
async fn once(lab: &Lab, app: &str) -> Duration {
    let (client, host) = (lab.client(), lab.host(app));
    let request = DeployRequest { source: Source::Image { reference: IMAGE.to_owned() }, settings: settings() };
    let app_name = name(app);
    let begun = Instant::now();
    let (deploy, answered) =
        tokio::join!(client.deploy_create(&app_name, &request), first::answer(lab.router, &host, "/health", first::is_200));
    lab.succeeds(&deploy.expect("the deploy is taken")).await;
    remove(lab, app).await;
    answered.duration_since(begun)
}

/// Deletes an app and waits until its containers are gone.
pub async fn remove(lab: &Lab, app: &str) {
    lab.client().app_delete(&name(app)).await.expect("the delete is taken");
    until("its containers are gone", SETTLE, async || lab.docker.all(app), |all| all.is_empty()).await;
}
