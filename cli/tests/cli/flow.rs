//! A deploy from the file to the URL, and the ways it ends.

use std::collections::VecDeque;

use dinp_common::api::DeployView;
use dinp_common::build::BuildState;
use dinp_common::deploy::{Cause, DeployPhase, DeployState, Failure};
use dinp_common::instance::InstanceStatus;
use dinp_common::release::ReleaseNo;
use expect_test::expect;

use crate::run::User;
use crate::server::{Script, Server, build, instance, view};

const LOG: [&str; 2] = ["unpacking shop.war", "loading the image"];

fn without(said: &str, left_out: &[&str]) -> String {
    said.lines().filter(|line| !left_out.iter().any(|text| line.contains(text))).map(|line| format!("{line}\n")).collect()
}

/// Queued, built, rolled out, live, with the old release draining.
pub fn good() -> Script {
    let building = |state| DeployView { build: Some(build(state)), ..view(DeployState::Running, DeployPhase::Build) };
    let rollout = DeployView {
        build: Some(build(BuildState::Succeeded)),
        to: Some(ReleaseNo(4)),
        step: "waits for GET :8080/health".into(),
        ..view(DeployState::Running, DeployPhase::Rollout)
    };
    let live = DeployView { state: DeployState::Succeeded, ready: 1, draining: 1, ..rollout.clone() };
    Script {
        deploys: VecDeque::from([building(BuildState::Queued), building(BuildState::Running), rollout, live]),
        instances: vec![
            instance("a1b2c3", 4, InstanceStatus::Starting, "waiting for GET :8080/health"),
            instance("z9y8x7", 3, InstanceStatus::Running, "takes traffic"),
        ],
        log: LOG.map(str::to_owned).into(),
        ..Script::default()
    }
}

#[test]
fn a_deploy_says_each_step_and_ends_with_the_url() {
    let server = Server::start(good());
    let user = User::of(&server.url);
    user.file("shop.war", "hello world");
    let said = user.run(&["deploy", "shop.war", "--env", "LOG=info", "--instances", "2", "--", "java", "-jar", "x"]);
    expect![[r#"
        ✓ live      http://shop.localhost:8080   v3 → v4 in N s.   undo: dinp rollback -a shop
        --- stderr
        no app named: shop, from shop.war; -a NAME chooses another
        shop (URL)
        N s  upload    11 B   N s
        N s  build     b12  waits for a builder
        N s  detect    Java web app (.war)
        N s  build     b12  is under way
        N s  build     b12  image abababababab  5.2 MB
        N s    a1b2c3 v4 on node-1  Starting: waiting for GET :8080/health
        N s  roll out  0/1 ready   waits for GET :8080/health
          v3 is draining: 1 instance ends what it has in flight, then stops
        --- exit 0
    "#]]
    .assert_eq(&without(&said.all(), &LOG));
    // The log comes by a stream of its own: it is whole, in order, and out before the build's end is said.
    let at = |text: &str| said.err.find(text).unwrap_or_else(|| panic!("{text} in\n{}", said.err));
    assert!(at(LOG[0]) < at(LOG[1]) && at(LOG[1]) < at("b12  image"), "{}", said.err);
    let asked = server.asked();
    assert_eq!(asked[0], format!("HEAD /v1/artifacts/{}", sha256(b"hello world")));
    expect![[r#"POST /v1/apps/shop/deploys {"source":{"from":"artifact","digest":"sha256:abababababababababababababababababababababababababababababababab","file_name":"shop.war","kind":null,"start":["java","-jar","x"]},"settings":{"instances":2,"memory":null,"port":null,"health":null,"stop_grace_seconds":null,"env":{"LOG":"info"},"strategy":null,"timeout_seconds":null}}"#]].assert_eq(&asked[2]);
}

#[test]
fn a_folder_is_packed_and_named_after_itself() {
    let server = Server::start(good());
    let user = User::of(&server.url);
    user.file("site/index.html", "<h1>hello</h1>");
    let said = user.run(&["deploy", "site", "-q", "-o", "name"]);
    assert_eq!((said.out.as_str(), said.err.as_str(), said.code), ("shop\n", "", 0));
    assert!(server.asked()[2].starts_with("POST /v1/apps/site/deploys"), "{:?}", server.asked());
    assert!(server.asked()[2].contains("\"file_name\":\"site.tar.gz\""), "{:?}", server.asked());
}

#[test]
fn the_manifest_gives_what_the_flags_do_not() {
    let server = Server::start(good());
    let user = User::of(&server.url);
    user.file("target/shop.war", "hello world");
    user.file("dinp.toml", "schema = 1\nname = \"store\"\n[artifact]\npath = \"target/shop.war\"\n[run]\ninstances = 3\nport = 9000\n[env]\nA = \"1\"\nB = \"1\"\n");
    let said = user.run(&["deploy", "--instances", "5", "--env", "B=2", "--no-wait"]);
    expect![[r#"
        deploy #4 of shop has begun: dinp status shop
        --- stderr
        store (URL)
        N s  upload    11 B   N s
        --- exit 0
    "#]]
    .assert_eq(&said.all());
    expect![[r#"POST /v1/apps/store/deploys {"source":{"from":"artifact","digest":"sha256:abababababababababababababababababababababababababababababababab","file_name":"shop.war","kind":null,"start":null},"settings":{"instances":5,"memory":null,"port":9000,"health":null,"stop_grace_seconds":null,"env":{"A":"1","B":"2"},"strategy":null,"timeout_seconds":null}}"#]].assert_eq(&server.asked()[2]);
}

#[test]
fn the_dockerfile_is_shown_on_request_and_json_is_the_apis_own() {
    let mut script = good();
    let last = script.deploys.pop_back().expect("an end");
    script.deploys = VecDeque::from([last.clone()]);
    let server = Server::start(script);
    let user = User::of(&server.url);
    user.file("shop.war", "hello world");
    let said = user.run(&["deploy", "shop.war", "-q", "--json"]);
    assert_eq!(serde_json::from_str::<DeployView>(&said.out).expect("a deploy"), last);
    let said = user.run(&["deploy", "shop.war", "--show-dockerfile"]);
    assert!(said.out.ends_with("FROM java\nCOPY shop.war /app/\n"), "{}", said.out);
}

#[test]
fn a_failed_deploy_is_exit_1_with_cause_state_and_cure() {
    let mut script = good();
    let mut last = script.deploys.pop_back().expect("an end");
    last.state = DeployState::Failed;
    last.failure = Some(Failure {
        cause: Cause::CrashedOnStart,
        why: "a1b2c3 ended 3 times before it was healthy: exit code 1".into(),
        now: "v3 still serves all traffic".into(),
        fix: "read its last output below".into(),
        output: Some("Traceback:\n  no module named shop\n".into()),
    });
    script.deploys = VecDeque::from([last]);
    let server = Server::start(script);
    let user = User::of(&server.url);
    user.file("shop.war", "hello world");
    let said = user.run(&["deploy", "shop.war"]);
    assert!(said.out.is_empty());
    let from = said.err.find("error:").expect("an error");
    expect![[r#"
        error: deploy #4 of shop failed: it ends as soon as it starts
          why:  a1b2c3 ended 3 times before it was healthy: exit code 1
            Traceback:
              no module named shop
          now:  v3 still serves all traffic
          try:  read its last output below
          see:  dinp why shop  (code crashed_on_start)
        --- exit 1
    "#]]
    .assert_eq(&format!("{}--- exit {}\n", &said.err[from..], said.code));
}

#[test]
fn a_change_says_what_it_did_and_a_refusal_what_to_do() {
    let mut script = good();
    let scaled = DeployView {
        kind: dinp_common::deploy::DeployKind::Scale,
        to: Some(ReleaseNo(3)),
        wanted: 3,
        ready: 3,
        ..view(DeployState::Succeeded, DeployPhase::Rollout)
    };
    script.deploys = VecDeque::from([scaled]);
    script.instances.clear();
    let server = Server::start(script);
    let user = User::of(&server.url);
    expect![[r#"
        ✓ scaled    shop to 3 instances in N s
        --- stderr
        shop (URL)
        --- exit 0
    "#]]
    .assert_eq(&user.run(&["scale", "3", "-a", "shop"]).all());
    expect![[r#"
        --- stderr
        shop (URL)
        error: there is no app of this name
          try:  dinp apps lists them
          see:  (code app_not_found)
        --- exit 3
    "#]]
    .assert_eq(&user.run(&["restart", "shop"]).all());
}

#[test]
fn waiting_ends_and_says_that_the_deploy_does_not() {
    let mut script = good();
    script.deploys.truncate(1);
    let server = Server::start(script);
    let said = User::of(&server.url).run(&["scale", "3", "-a", "shop", "--timeout", "1s"]);
    assert_eq!(said.code, 6);
    let from = said.err.find("error:").expect("an error");
    expect![[r#"
        error: deploy #4 of shop is not done after N s
          now:  deploy #4 goes on: dinp status shop
    "#]]
    .assert_eq(&said.err[from..]);
}

#[test]
fn login_keeps_the_token_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(Script::default());
    let user = User::of(&server.url);
    let with_input = |args: &[&str], input: String| {
        let mut command = user.command(args);
        command.env_remove("DINP_URL").env_remove("DINP_TOKEN").write_stdin(input);
        crate::run::Said::of(&command.output().expect("runs"), &server.url)
    };
    let said = with_input(&["login", &server.url, "--token", "-"], crate::run::token());
    expect![[r#"
        --- stderr
        logged in to URL as admin
        --- exit 0
    "#]]
    .assert_eq(&said.all());
    let kept = user.project().join("../.config/dinp/credentials.toml");
    assert_eq!(std::fs::metadata(&kept).expect("kept").permissions().mode() & 0o777, 0o600);
    expect![[r#"
        admin (team default, token laptop) at URL
        --- stderr
        --- exit 0
    "#]]
    .assert_eq(&with_input(&["whoami"], String::new()).all());
    assert_eq!(with_input(&["logout"], String::new()).code, 0);
    assert_eq!(with_input(&["whoami"], String::new()).code, 4);
}

fn sha256(content: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    dinp_common::digest::Digest::from_sha256(Sha256::digest(content).into()).to_string()
}

#[test]
fn a_deploy_is_paused_resumed_and_cancelled() {
    let running = DeployView { to: Some(ReleaseNo(4)), ..view(DeployState::Running, DeployPhase::Rollout) };
    let after = |state, step: &str| DeployView { state, step: step.to_owned(), ..running.clone() };
    let start =
        |view: DeployView| Server::start(Script { deploys: VecDeque::from([running.clone(), view]), ..Script::default() });

    let server = start(after(DeployState::Running, "paused by admin: errors; 0 of 1 are ready"));
    let said = User::of(&server.url).run(&["pause", "shop", "--reason", "errors"]);
    expect![[r#"
        deploy #4 of shop: paused by admin: errors; 0 of 1 are ready
        --- stderr
        shop (URL)
        it goes on with: dinp resume shop   or ends with: dinp cancel shop
        --- exit 0
    "#]]
    .assert_eq(&said.all());
    assert_eq!(server.asked(), ["pause 4 {\"reason\":\"errors\"}"]);

    let server = start(after(DeployState::Succeeded, "done"));
    let said = User::of(&server.url).run(&["resume", "-a", "shop"]);
    assert_eq!((said.code, server.asked()[0].as_str()), (0, "resume 4 "), "{}", said.all());

    let server = start(after(DeployState::Cancelled, "cancelled; v3 still serves all traffic"));
    expect![[r#"
        deploy #4 of shop: cancelled; v3 still serves all traffic
        --- stderr
        shop (URL)
        --- exit 0
    "#]]
    .assert_eq(&User::of(&server.url).run(&["cancel", "shop"]).all());
    // Whoever waits for it hears that somebody else has cancelled it.
    expect![[r#"
        --- stderr
        shop (URL)
        error: deploy #4 of shop was cancelled
          now:  cancelled; v3 still serves all traffic
          see:  dinp why shop
        --- exit 5
    "#]]
    .assert_eq(&User::of(&server.url).run(&["resume", "shop"]).all());
}

#[test]
fn a_dry_run_prints_the_plan_node_by_node_and_asks_for_nothing() {
    let server = Server::start(good());
    let user = User::of(&server.url);
    expect![[r#"
        NODE    NOW  THEN
        node-1  1    2
        node-2  0    0
        filtered: node-2: it is cordoned

        STEP  DOES   INSTANCE     NODE    WHY
        1     start  v3 number 1  node-1  placed: least loaded of 2, 1 filtered
        it would succeed, if every new instance becomes healthy
        --- stderr
        shop (URL)
        dry run: scale to 2 instances. Nothing is changed
        --- exit 0
    "#]]
    .assert_eq(&user.run(&["scale", "2", "-a", "shop", "--dry-run"]).all());
    user.file("shop.war", "hello world");
    let said = user.run(&["deploy", "shop.war", "--dry-run"]);
    assert_eq!((said.code, server.asked()), (0, Vec::<String>::new()), "{}", said.all());
}
