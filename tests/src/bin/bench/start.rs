//! From the start of the processes, with a state of ten apps, to an API and a router that answer.

use std::process::Stdio;
use std::time::{Duration, Instant};

use dinp_client::PageQuery;
use dinp_tests::lab::Lab;

use crate::idle::app;
use crate::row::Row;
use crate::samples::Samples;
use crate::{Asked, first};

const LOOK: Duration = Duration::from_millis(1);

pub async fn measure(lab: &Lab, asked: &Asked) -> Vec<Row> {
    let (mut both, mut api, mut routing) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..asked.times(4, 12) {
        let (answered, routed) = once(lab).await;
        both.add(answered.max(routed));
        api.add(answered);
        routing.add(routed);
    }
    let beside = format!("{}; API {}; routing {}", both.told(), api.told(), routing.told());
    vec![Row {
        figure: "ready with existing state, worst",
        at_least: 1_000.0,
        aim: 200.0,
        measured: both.worst(),
        unit: "ms",
        beside,
    }]
}

async fn once(lab: &Lab) -> (Duration, Duration) {
    let stopped = lab.up_with(&["--stop"]).await;
    assert!(stopped.status.success(), "{stopped:?}");
    let (state, host) = (lab.state(), lab.host(&app(0)));
    let mut command = lab.command(&["up", "--state", state.to_str().expect("UTF-8")]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let mut up = tokio::process::Command::from(command).spawn().expect("dinp runs");
    let (answered, routed) = tokio::join!(api(lab), first::answer(lab.router, &host, "/health", first::is_200));
    let ended = up.wait().await.expect("it ends");
    assert!(ended.success(), "dinp up: {ended}");
    lab.node_ready().await;
    lab.settled(&app(0)).await;
    (answered.duration_since(begun), routed.duration_since(begun))
}

/// When the API answers a question that needs the store, and shows all apps.
async fn api(lab: &Lab) -> Instant {
    let client = lab.client();
    loop {
        if client.apps(&PageQuery::default()).await.is_ok_and(|apps| !apps.items.is_empty()) {
            return Instant::now();
        }
        tokio::time::sleep(LOOK).await;
    }
}
