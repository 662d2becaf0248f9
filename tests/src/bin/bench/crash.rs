//! From the end of an instance's process to its withdrawal, and to the first answer of the one in its place.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dinp_common::api::ScaleRequest;
use dinp_tests::http::Answer;
use dinp_tests::lab::{Lab, name};
use dinp_tests::process::signal;
use nix::sys::signal::Signal;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::idle::app;
use crate::raw::{IMAGE, Peer};
use crate::row::Row;
use crate::samples::Samples;
use crate::{APPS, Asked, first};

/// Instances of each app, and crashes of it: the first and one for each other instance are no loop, and cost no wait.
const INSTANCES: u32 = 3;
/// How often the router's table is looked at.
const LOOK: Duration = Duration::from_micros(500);
const GIVE_UP: Duration = Duration::from_secs(60);

/// What one crash took, from the signal on.
struct Crash {
    announced: Duration,
    withdrawn: Duration,
    replaced: Duration,
}

pub async fn measure(lab: &Lab, peer: &Peer, asked: &Asked) -> Vec<Row> {
    let (mut announced, mut withdrawn) = (Samples::default(), Samples::default());
    let (mut replaced, mut raw) = (Samples::default(), Samples::default());
    let mut ends = peer.ends().await;
    for n in 0..(asked.times(4, APPS as usize) as u32) {
        let app = app(n);
        let scale = ScaleRequest { instances: Some(INSTANCES), ..ScaleRequest::default() };
        let scaled = lab.client().scale(&name(&app), &scale).await.expect("the scale is taken");
        lab.succeeds(&scaled).await;
        for _ in 0..INSTANCES {
            let crash = once(lab, peer, &app, &mut ends).await;
            raw.add(crash.announced + peer.once(IMAGE).await);
            announced.add(crash.announced);
            withdrawn.add(crash.withdrawn);
            replaced.add(crash.replaced);
        }
    }
    let ours = format!("{}; Docker announces the end after {}", withdrawn.told(), announced.told());
    let next = format!("{}; announced, and made again by Docker alone {}", replaced.told(), raw.told());
    vec![
        Row {
            figure: "crash to withdrawn, p99",
            at_least: 100.0,
            aim: 30.0,
            measured: withdrawn.p99(),
            unit: "ms",
            beside: ours,
        },
        Row { figure: "crash to replaced, p99", at_least: 600.0, aim: 400.0, measured: replaced.p99(), unit: "ms", beside: next },
    ]
}

async fn once(lab: &Lab, peer: &Peer, app: &str, ends: &mut UnboundedReceiver<(String, Instant)>) -> Crash {
    let before = lab.settled(app).await;
    let known: BTreeSet<String> = before.instances.iter().map(|instance| instance.id.to_string()).collect();
    let victim = before.instances[0].id.to_string();
    let container = format!("dinp-{app}-{victim}");
    let pid = peer.pid(&container).await;
    let table = lab.state().join("router/table.json");
    let host = lab.host(app);
    let watching = tokio::task::spawn_blocking(move || withdrawal(table, victim));
    let begun = Instant::now();
    signal(pid, Signal::SIGKILL);
    let fresh =
        |answer: &Answer| first::is_200(answer) && answer.json()["instance"].as_str().is_some_and(|id| !known.contains(id));
    let (announced, replaced) = tokio::join!(end_of(&container, ends), first::answer(lab.router, &host, "/whoami", fresh));
    let withdrawn = watching.await.expect("watched");
    Crash {
        announced: announced.duration_since(begun),
        withdrawn: withdrawn.duration_since(begun),
        replaced: replaced.duration_since(begun),
    }
}

async fn end_of(container: &str, ends: &mut UnboundedReceiver<(String, Instant)>) -> Instant {
    loop {
        let (name, at) = ends.recv().await.expect("Docker's events go on");
        if name == container {
            return at;
        }
    }
}

/// When the router's table is without an instance. The router writes it once all its cores route by it, and only then
/// confirms it.
fn withdrawal(table: PathBuf, instance: String) -> Instant {
    let begun = Instant::now();
    let named = format!("\"{instance}\"");
    loop {
        let text = std::fs::read_to_string(&table).expect("the router's table");
        let now = Instant::now();
        if !text.contains(&named) {
            return now;
        }
        assert!(now.duration_since(begun) < GIVE_UP, "{instance} is still in {text}");
        std::thread::sleep(LOOK);
    }
}
