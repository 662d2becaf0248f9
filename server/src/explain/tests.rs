use dinp_common::app::App;
use dinp_common::deploy::{Cause, Deploy, DeployKind, DeployPhase, DeployState, Failure};
use dinp_common::health::Health;
use dinp_common::instance::{Seen, Want};
use dinp_common::name::EnvKey;
use dinp_common::node::NodeStatus;
use dinp_common::release::{Env, EnvValue};
use expect_test::{Expect, expect};

use super::fixtures::{Scene, address, app, deploy, exit, name, release};
use super::*;

fn told<'a>(scene: &'a Scene, app: &'a App) -> Told<'a> {
    Told { snapshot: &scene.0, app: Some(app), build: None, newest: true, url: "http://hello.localhost:8080".into() }
}

fn shown(scene: &Scene, app: &App, last: Option<&Deploy>) -> dinp_common::api::AppView {
    let last = last.map(|deploy| deploy_view(deploy, told(scene, app)));
    app_view(&scene.0, app, Some(&release(3, 256)), last, "http://hello.localhost:8080".into())
}

/// Status and reason of the app, of its last deploy and of each instance.
fn check(scene: &Scene, app: &App, last: Option<&Deploy>, expected: Expect) {
    let view = shown(scene, app, last);
    let mut text = format!("{} {}/{}: {}\n", view.status, view.instances_running, view.instances_wanted, view.reason);
    if let Some(deploy) = &view.last_deploy {
        let (ready, wanted, draining) = (deploy.ready, deploy.wanted, deploy.draining);
        text += &format!("{} {}: {ready}/{wanted} ready, {draining} draining: {}\n", deploy.number, deploy.state, deploy.step);
    }
    for instance in instances_of(&scene.0, &name("hello")) {
        let state = instance_state(&scene.0, instance);
        text += &format!("{} {}: {}\n", instance.id, state.status, state.reason);
    }
    expected.assert_eq(&text);
}

fn unproven(last: &str) -> Option<Seen> {
    Some(Seen::Running { address: address(), health: Health::Unproven { last: Some(last.into()) } })
}

#[test]
fn an_app_that_serves_says_so() {
    let scene = Scene::new(2).serving("aaa111", 3).serving("bbb222", 3);
    check(
        &scene,
        &app(2),
        None,
        expect![[r#"
            Running 2/2: all 2 instances of v3 take traffic
            aaa111 Running: takes traffic
            bbb222 Running: takes traffic
        "#]],
    );
}

#[test]
fn a_dead_instance_degrades_the_app_and_names_the_exit() {
    let dead = Seen::Exited { exit: exit(1, "Traceback\nKeyError: 'DB'\n") };
    let scene = Scene::new(2).serving("aaa111", 3).instance("bbb222", 3, Want::Run, true, Some(dead));
    check(
        &scene,
        &app(2),
        None,
        expect![[r#"
            Degraded 1/2: 1 of 2 instances of v3 take traffic; bbb222: exit code 1
            aaa111 Running: takes traffic
            bbb222 Failed: exit code 1
        "#]],
    );
}

#[test]
fn what_is_held_back_comes_first_when_nothing_serves() {
    let scene = Scene::new(1).hold("the next start waits 4 s: it crashed 3 times");
    check(
        &scene,
        &app(1),
        None,
        expect![[r#"
            Down 0/1: none of 1 instance of v3 takes traffic; the next start waits 4 s: it crashed 3 times
        "#]],
    );
}

#[test]
fn an_instance_nobody_reports_is_not_taken_for_dead() {
    let scene = Scene::new(1).instance("aaa111", 3, Want::Run, true, None);
    check(
        &scene,
        &app(1),
        None,
        expect![[r#"
            Running 1/1: 1 instance of v3 takes traffic
            aaa111 Running: healthy when last seen; node n1 has not reported since
        "#]],
    );
    let scene = scene.node(NodeStatus::Lost, "it has been silent for 12 s");
    check(
        &scene,
        &app(1),
        None,
        expect![[r#"
            Down 0/1: none of 1 instance of v3 takes traffic; aaa111: node n1 is lost: it has been silent for 12 s
            aaa111 Lost: node n1 is lost: it has been silent for 12 s
        "#]],
    );
}

#[test]
fn a_rolling_deploy_names_what_it_waits_for() {
    let scene = Scene::new(1)
        .serving("aaa111", 3)
        .instance("bbb222", 4, Want::Run, false, unproven("connection refused"))
        .listening("bbb222", "127.0.0.1:5000");
    check(
        &scene,
        &app(1),
        Some(&deploy(DeployState::Running)),
        expect![[r#"
            Deploying 1/1: deploy of hello: bbb222 on n1: waiting for GET :8080/health (connection refused); it listens on 127.0.0.1:5000; needs 0.0.0.0:8080
            #4 running: 0/1 ready, 0 draining: bbb222 on n1: waiting for GET :8080/health (connection refused); it listens on 127.0.0.1:5000; needs 0.0.0.0:8080
            aaa111 Running: takes traffic
            bbb222 Starting: waiting for GET :8080/health (connection refused); it listens on 127.0.0.1:5000; needs 0.0.0.0:8080
        "#]],
    );
}

#[test]
fn a_done_deploy_says_what_still_drains() {
    let healthy = Some(Seen::Running { address: address(), health: Health::Healthy });
    let scene = Scene::new(1).serving("bbb222", 4).instance("aaa111", 3, Want::Drain, true, healthy);
    check(
        &scene,
        &App { live: Some(dinp_common::release::ReleaseNo(4)), ..app(1) },
        Some(&deploy(DeployState::Succeeded)),
        expect![[r#"
            Running 1/1: 1 instance of v4 takes traffic
            #4 succeeded: 1/1 ready, 1 draining: done; still finishing what it has in flight: 1 instance of v3
            bbb222 Running: takes traffic
            aaa111 Draining: finishes what it has in flight (the only node)
        "#]],
    );
}

#[test]
fn stopping_deleting_and_building_have_words_of_their_own() {
    let scene = Scene::new(2).instance("aaa111", 3, Want::Stop, true, Some(Seen::Stopping));
    let stop = Deploy { kind: DeployKind::Stop, to: Some(dinp_common::release::ReleaseNo(3)), ..deploy(DeployState::Running) };
    check(
        &scene,
        &App { stopped: true, ..app(2) },
        Some(&stop),
        expect![[r#"
            Deploying 0/0: deploy of hello: waiting for every node to confirm that nothing is left
            #4 running: 0/0 ready, 0 draining: waiting for every node to confirm that nothing is left
            aaa111 Stopped: got SIGTERM and is ending (the only node)
        "#]],
    );
    let empty = Scene::new(2);
    let stopped = App { stopped: true, ..app(2) };
    check(
        &empty,
        &stopped,
        None,
        expect![[r#"
        Stopped 0/0: stopped; it starts again with 2 instances
    "#]],
    );
    check(
        &scene,
        &App { deleted: true, ..app(2) },
        None,
        expect![[r#"
        Deploying 0/0: is being deleted; 1 instance left
        aaa111 Stopped: got SIGTERM and is ending (the only node)
    "#]],
    );
    let build = Deploy { phase: DeployPhase::Build, to: None, ..deploy(DeployState::Running) };
    check(
        &empty,
        &App { live: None, ..app(1) },
        Some(&build),
        expect![[r#"
        Deploying 0/1: deploy of hello: waiting for its build
        #4 running: 0/1 ready, 0 draining: waiting for its build
    "#]],
    );
}

#[test]
fn why_tells_the_whole_story() {
    let dead = Seen::Exited { exit: exit(1, "line one\nKeyError: 'DB'\n") };
    let scene = Scene::new(1)
        .serving("aaa111", 3)
        .instance("bbb222", 4, Want::Stop, false, Some(dead))
        .node(NodeStatus::Suspect, "nothing heard for 4 s");
    let failure = Failure {
        cause: Cause::CrashedOnStart,
        why: "3 instances of v4 ended before they were healthy: exit code 1".into(),
        now: "v3 still serves all traffic".into(),
        fix: "read the output, then deploy again".into(),
        output: None,
    };
    let failed = Deploy { failure: Some(failure), ..deploy(DeployState::Failed) };
    let view = shown(&scene, &app(1), Some(&failed));
    let why = why_view(&scene.0, &app(1), &view, Vec::new());
    let mut text = why.sentences.join("\n") + "\n";
    for instance in &why.instances {
        text += &format!("- {} {}: {} {:?}\n", instance.id, instance.status, instance.text, instance.output);
    }
    expect![[r#"
        hello is to run 1 instance of v3, 256MiB each.
        1 instance of v3 takes traffic.
        Node n1 is Suspect: nothing heard for 4 s.
        Deploy #4 (deploy of hello) failed: 3 instances of v4 ended before they were healthy: exit code 1.
        Now: v3 still serves all traffic.
        Try: read the output, then deploy again.
        - aaa111 Running: v3 on n1: takes traffic. Last decision: the only node. None
        - bbb222 Failed: v4 on n1: exit code 1. Last decision: the only node. Some("line one\nKeyError: 'DB'")
    "#]]
    .assert_eq(&text);
}

#[test]
fn sealed_values_are_never_answered() {
    let mut env = Env::new();
    env.insert(EnvKey::parse("A").expect("a key"), EnvValue::plain("open"));
    env.insert(EnvKey::parse("B").expect("a key"), EnvValue { value: "secret".into(), sealed: true });
    let json = serde_json::to_string(&env_view(&env)).expect("json");
    assert!(json.contains("open") && !json.contains("secret"), "{json}");
}

#[test]
fn a_paused_deploy_names_who_holds_it_and_a_cancelled_one_what_serves() {
    let scene = Scene::new(1).serving("aaa111", 3).serving("bbb222", 4).hold("paused by ann; it goes on with: dinp resume hello");
    let paused = Deploy { paused: Some("paused by ann: errors".into()), ..deploy(DeployState::Running) };
    check(
        &scene,
        &app(1),
        Some(&paused),
        expect![[r#"
        Deploying 2/1: deploy of hello: paused by ann: errors; 1 of 1 are ready, and nothing moves until it is resumed
        #4 running: 1/1 ready, 0 draining: paused by ann: errors; 1 of 1 are ready, and nothing moves until it is resumed
        aaa111 Running: takes traffic
        bbb222 Running: takes traffic
    "#]],
    );
    check(
        &scene,
        &app(1),
        Some(&deploy(DeployState::Cancelled)),
        expect![[r#"
        Running 2/1: 1 instance of v3 takes traffic
        #4 cancelled: 1/1 ready, 0 draining: cancelled; v3 takes all traffic again as soon as it is back at full strength
        aaa111 Running: takes traffic
        bbb222 Running: takes traffic
    "#]],
    );
    let back = Scene::new(1).serving("aaa111", 3);
    check(
        &back,
        &app(1),
        Some(&deploy(DeployState::Cancelled)),
        expect![[r#"
        Running 1/1: 1 instance of v3 takes traffic
        #4 cancelled: 0/1 ready, 0 draining: cancelled; v3 still serves all traffic
        aaa111 Running: takes traffic
    "#]],
    );
}
