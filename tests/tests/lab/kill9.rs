//! The control plane dies at the worst moments, and nobody outside notices.

use std::net::SocketAddr;

use dinp_common::api::Settings;
use dinp_common::health::HealthCheck;
use dinp_tests::http;
use dinp_tests::lab::{DEPLOY, Lab, SETTLE, free_port, said};
use dinp_tests::process::{gone, signal};
use dinp_tests::runner::World;
use dinp_tests::sample;
use dinp_tests::wait::until;
use nix::sys::signal::Signal;

use crate::promises;

fn settings() -> Settings {
    Settings { health: Some(HealthCheck::Http { path: "/health".into() }), ..Settings::default() }
}

/// Every point the components name in their `FAILPOINTS`: a new one is tested without anybody adding it here.
fn failpoints() -> Vec<String> {
    let mut found = Vec::new();
    for source in ["server/src/reconcile.rs", "agent/src/lib.rs"] {
        let text = std::fs::read_to_string(dinp_tests::root().join(source)).expect("a source");
        let list = text.split("FAILPOINTS: &[&str] = &[").nth(1).and_then(|rest| rest.split(']').next());
        let names = list.unwrap_or_else(|| panic!("{source} lists no points"));
        found.extend(names.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    assert!(found.len() >= 8, "{found:?}");
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

pub async fn at_each_named_point_of_a_deploy_nothing_is_lost_doubled_or_stuck(world: &World) {
    let lab = Lab::start().await;
    lab.deploy("victim", &sample::binary(), settings()).await;
    orphan(&lab).await;
    for time in 1..=world.times(2, 6) {
        for point in failpoints() {
            dies_at(&lab, &format!("{point}@{time}"), time == 1).await;
        }
    }
    lab.purge().await;
}

/// One deploy with a control plane that dies at `point`, and another that finishes it. Every deploy reaches each point
/// once; whether it does so again depends on its steps, and one that does not must simply end.
async fn dies_at(lab: &Lab, point: &str, must_die: bool) {
    let load = lab.load("victim");
    let mut dying = lab.control(Some(point));
    let file = sample::version(lab.folder(), point);
    // It may die while the request is on its way; then nothing was asked for, and the deploy is asked for again.
    let ask = async || {
        let asked = lab.try_deploy("victim", &file, settings()).await.map_err(|error| error.to_string());
        (dying.ended().is_some(), asked)
    };
    let (_, asked) = until("the deploy is asked for", SETTLE, ask, |(ended, asked)| *ended || asked.is_ok()).await;
    let client = lab.client();
    // The last steps, stopping and removing the old instance, come after the deploy's own end.
    let look = async || {
        let ended = dying.ended().is_some();
        let over = match &asked {
            Ok(deploy) => client.deploy(&deploy.app, deploy.number).await.is_ok_and(|deploy| deploy.state.is_final()),
            Err(_) => false,
        };
        (ended, over, lab.docker.all("victim").len())
    };
    // From outside the last step shows a moment before the point behind it is reached: its end proves no miss.
    let over = |(ended, over, containers): &(bool, bool, usize)| *ended || (!must_die && *over && *containers == 1);
    until(&format!("{point}: it dies, or the deploy and all after it ends"), DEPLOY, look, over).await;
    dying.kill().await;
    promises::hold(lab).await;

    let living = lab.control(None);
    lab.node_ready().await;
    let deploy = match (asked, lab.last_deploy("victim").await) {
        (Err(_), Some(last)) if last.state.is_final() => lab.deploy_begin("victim", &file, settings()).await,
        (_, last) => last.expect("a deploy"),
    };
    let ended = lab.succeeds(&deploy).await;
    let app = lab.settled("victim").await;
    assert_eq!(app.app.release, ended.to, "{point}: the deploy's release serves");
    let nodes = lab.client().nodes().await.expect("nodes").items;
    assert!(nodes.iter().all(|node| node.orphans.is_empty()), "{point}: {nodes:#?}");
    promises::hold_at_rest(lab).await;
    let report = load.stop().await;
    assert_eq!(report.failed, 0, "{point}: {report:#?}");
    report.assert_nothing_lost();
    living.kill().await;
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

/// `dinp up` for another router, which dies when what ran is stopped and nothing of the new is started yet.
async fn up_dies_half_way(lab: &Lab) -> SocketAddr {
    let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (state, address) = (lab.state(), admin.to_string());
    let mut command = lab.command(&["up", "--state", state.to_str().expect("UTF-8"), "--router-admin", &address]);
    command.env("DINP_FAILPOINT", "up.stopped");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("joined").expect("dinp runs");
    assert_eq!(output.status.code(), None, "it did not die: {}", said(&output));
    admin
}

pub async fn an_up_that_dies_half_way_leaves_a_router_that_the_next_one_and_stop_find(_: &World) {
    let lab = Lab::start().await;
    lab.deploy("steady", &sample::binary(), settings()).await;
    let (router, load) = (lab.pid("router"), lab.load("steady"));
    let admin = up_dies_half_way(&lab).await;
    lab.up().await;
    let look = async || http::get(admin, "admin", "/livez").await.map_err(|error| error.to_string()).map(|answer| answer.body);
    until("the next one brings what was asked for", SETTLE, look, |answer| answer.as_deref() == Ok("ok\n")).await.expect("up");
    gone(router).await;
    load.stop().await.assert_nothing_lost();
    let router = lab.pid("router");
    up_dies_half_way(&lab).await;
    let stopped = said(&lab.up_with(&["--stop"]).await);
    assert!(stopped.contains(&format!("stopped the router process {router}\n")), "{stopped}");
    gone(router).await;
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
