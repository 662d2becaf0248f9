//! Restarts of the agent, of crashed containers while nobody leads, and the addresses through all of it.

use std::time::Duration;

use dinp_common::instance::{Seen, Want};
use dinp_planner::agent::LEADERLESS_AFTER;

use crate::lab::{Lab, healthy, id};

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_adopts_what_runs() {
    let mut lab = Lab::with_agent("adopt").await;
    let address = lab.run_one(1).await;
    let before = lab.inspect(&lab.container(1)).await;
    lab.stop_agent().await;
    assert!(lab.get(address, "/health").await.is_ok(), "containers outlive the agent");
    lab.start_agent();
    let view = lab.server.until("a full report of the second start", |view| view.hellos.len() == 2 && view.full > 0).await;
    let seen = view.seen(&id(1)).expect("it is in the first full report");
    assert!(healthy(seen), "the first word about it is not a worse one: {seen:?}");
    let after = lab.inspect(&lab.container(1)).await;
    assert_eq!((before.id, before.state.and_then(|s| s.started_at)), (after.id, after.state.and_then(|s| s.started_at)));
    assert_ne!(view.hellos[0].boot, view.hellos[1].boot);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_leader_a_crashed_container_comes_back_at_its_address() {
    let mut lab = Lab::with_agent("alone").await;
    let address = lab.run_one(1).await;
    let before = lab.inspect(&lab.container(1)).await.id;
    lab.server.vanish();
    let _ = lab.get(address, "/crash").await;
    assert!(lab.get(address, "/health").await.is_err(), "it is down");
    let deadline = tokio::time::Instant::now() + LEADERLESS_AFTER + Duration::from_secs(10);
    while lab.get(address, "/health").await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(lab.inspect(&lab.container(1)).await.id, before, "the same container");
    lab.server.come_back();
    let view = lab.server.until("its restart in a report", |view| view.hellos.len() > 1 && view.full > 0).await;
    let report = &view.instances[&id(1)];
    assert!(report.restarts >= 1 && matches!(report.seen, Seen::Running { address: at, .. } if at == address), "{report:?}");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_not_given_again_before_its_release() {
    let mut lab = Lab::with_agent("reuse").await;
    let first = lab.run_one(1).await;
    lab.server.assign(vec![lab.instance(1, Want::Stop)], vec![]);
    lab.server.until_seen(&id(1), "gone", |seen| *seen == Seen::Gone).await;
    assert_eq!(lab.server.view().cooling, [id(1)]);

    // A restart in the middle of the quarantine forgets nothing.
    lab.stop_agent().await;
    lab.start_agent();
    lab.server.until("the second start", |view| view.hellos.len() == 2 && view.full > 0).await;
    assert_eq!(lab.server.view().cooling, [id(1)]);
    assert_ne!(lab.run_one(2).await, first);

    lab.server.assign(vec![lab.instance(2, Want::Run)], vec![id(1)]);
    lab.server.until("the release taken in", |view| view.cooling.is_empty()).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_docker_the_agent_reports_why_and_goes_on_when_it_comes() {
    let mut lab = Lab::new("nodocker").await;
    let engine = lab.config.docker.clone();
    let folder = tempfile::tempdir().expect("a folder");
    lab.config.docker = folder.path().join("docker.sock");
    lab.start_agent();
    lab.server.assign(vec![lab.instance(1, Want::Run)], vec![]);
    let seen = lab
        .server
        .until_seen(&id(1), "a reason", |seen| matches!(seen, Seen::Pending { step } if step.contains("docker.sock")))
        .await;
    let view = lab.server.until("facts", |view| view.facts.as_ref().is_some_and(|facts| facts.docker.is_err())).await;
    assert_eq!(view.full, 0, "nothing is told as known: {seen:?}");
    std::os::unix::fs::symlink(&engine, &lab.config.docker).expect("links");
    lab.server.until_seen(&id(1), "health", healthy).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_killed_while_the_agent_was_away_is_an_exit() {
    let mut lab = Lab::with_agent("away").await;
    lab.run_one(1).await;
    lab.stop_agent().await;
    lab.docker.kill_container(&lab.container(1), None).await.expect("kills");
    lab.start_agent();
    let seen = lab.server.until_seen(&id(1), "an exit", |seen| matches!(seen, Seen::Exited { .. })).await;
    assert!(matches!(&seen, Seen::Exited { exit } if exit.code == 137 && exit.output.contains("listens on")), "{seen:?}");
    lab.finish().await;
}
