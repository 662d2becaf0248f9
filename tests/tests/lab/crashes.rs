//! What dies is replaced, and the rest does not feel it.

use std::time::Duration;

use dinp_common::api::Settings;
use dinp_common::app::AppStatus;
use dinp_common::health::HealthCheck;
use dinp_tests::lab::SETTLE;
use dinp_tests::runner::World;
use dinp_tests::sample;
use dinp_tests::wait::until;

/// Requests that were inside the killed instance: at 200 a second and a few milliseconds each, and the long ones.
const INSIDE: u64 = 5;

fn settings(instances: u32) -> Settings {
    Settings { instances: Some(instances), health: Some(HealthCheck::Http { path: "/health".into() }), ..Settings::default() }
}

pub async fn a_killed_instance_is_replaced_and_the_others_are_unhurt(world: &World) {
    let lab = world.lab().await;
    lab.deploy("killed", &sample::binary(), settings(3)).await;
    let before = lab.settled("killed").await;
    let victim = before.instances[0].id.clone();
    let load = lab.load("killed");
    load.warm().await;
    lab.docker.run(&["kill", &format!("dinp-killed-{victim}")]);
    let replaced = |app: &dinp_common::api::AppDetail| {
        app.app.status == AppStatus::Running && app.instances.len() == 3 && app.instances.iter().all(|i| i.id != victim)
    };
    let after = until("the instance is replaced", SETTLE, async || lab.app("killed").await, replaced).await;
    let kept = before.instances.iter().filter(|old| after.instances.iter().any(|new| new.id == old.id)).count();
    assert_eq!(kept, 2, "the other two stay: {:#?}", after.instances);
    let report = load.stop().await;
    assert!(report.failed <= INSIDE, "only what was inside the killed instance may be lost: {report:#?}");
    lab.settled("killed").await;
}

pub async fn an_app_that_ends_by_itself_is_replaced_and_said(world: &World) {
    let lab = world.lab().await;
    lab.deploy("suicidal", &sample::binary(), settings(1)).await;
    let before = lab.docker.running("suicidal");
    // Nobody answers: the process ends in the middle of it.
    let answer = lab.get("suicidal", "/crash").await;
    assert!(answer.as_ref().is_ok_and(|answer| answer.status.is_server_error()), "the router says so: {answer:?}");
    let running = async || lab.docker.running("suicidal");
    until("a new container runs", SETTLE, running, |now| now.len() == 1 && now.is_disjoint(&before)).await;
    lab.settled("suicidal").await;
    let answer = until(
        "it serves again",
        SETTLE,
        async || lab.get("suicidal", "/health").await.map(|answer| answer.status.as_u16()).map_err(|error| error.to_string()),
        |answer| *answer == Ok(200),
    );
    answer.await.expect("an answer");
    let events = lab.dinp(&["events", "suicidal"]).await;
    assert!(String::from_utf8_lossy(&events.stdout).contains("exit code 1"), "{events:?}");
}

pub async fn a_crash_loop_backs_off_and_other_apps_do_not_feel_it(world: &World) {
    let lab = world.lab().await;
    lab.deploy("calm", &sample::binary(), settings(1)).await;
    lab.deploy("looping", &sample::binary(), settings(1)).await;
    let calm = lab.docker.running("calm");
    let load = lab.load("calm");
    let mut starts = std::collections::BTreeSet::new();
    let until_then = std::time::Instant::now() + Duration::from_secs(12);
    while std::time::Instant::now() < until_then {
        for container in lab.docker.running("looping") {
            if starts.insert(container.clone()) {
                let _ = lab.docker.try_run(&["kill", &container]);
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Pauses of 0, 1, 2, 4 and 8 s leave room for five starts in twelve seconds.
    assert!((3..=6).contains(&starts.len()), "{} starts", starts.len());
    let why = lab.dinp(&["why", "looping"]).await;
    assert!(String::from_utf8_lossy(&why.stdout).contains("SIGKILL"), "{why:?}");
    assert_eq!(lab.docker.running("calm"), calm);
    load.stop().await.assert_nothing_lost();
    lab.client().app_delete(&dinp_tests::lab::name("looping")).await.expect("taken");
}
