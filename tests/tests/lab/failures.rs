//! A release that cannot serve ends in words, and the old one never notices.

use std::time::Duration;

use dinp_common::api::{DeployView, RollbackRequest, Settings};
use dinp_common::deploy::{Cause, DeployState};
use dinp_common::health::HealthCheck;
use dinp_common::name::EnvKey;
use dinp_common::release::ReleaseNo;
use dinp_tests::lab::{SETTLE, name, said};
use dinp_tests::runner::World;
use dinp_tests::sample;
use dinp_tests::wait::until;

/// Seconds for a deploy that cannot succeed.
const DEADLINE: u32 = 15;

fn settings(fault: Option<&str>) -> Settings {
    let env = fault.map(|fault| (EnvKey::parse("FAIL").expect("a key"), fault.to_owned())).into_iter().collect();
    let health = Some(HealthCheck::Http { path: "/health".into() });
    Settings { env, health, timeout_seconds: Some(DEADLINE), ..Settings::default() }
}

/// Deploys a good release, then a bad one under load: the good one keeps its containers and loses nothing.
async fn fails(world: &World, app: &str, fault: &str) -> DeployView {
    let lab = world.lab().await;
    lab.deploy(app, &sample::binary(), settings(None)).await;
    let before = lab.docker.running(app);
    let load = lab.load(app);
    let begun = lab.deploy_begin(app, &sample::version(lab.folder(), app), settings(Some(fault))).await;
    let clock = std::time::Instant::now();
    let ended = lab.deploy_end(&begun).await;
    assert!(clock.elapsed() < Duration::from_secs(u64::from(DEADLINE) + 10), "within its deadline: {ended:#?}");
    assert_eq!(ended.state, DeployState::Failed, "{ended:#?}");
    until("only the old containers are left", SETTLE, async || lab.docker.all(app), |all| *all == before).await;
    load.stop().await.assert_nothing_lost();
    let failure = ended.failure.as_ref().expect("a cause");
    assert!(failure.now.contains("v1"), "it says what still serves: {failure:#?}");
    assert!(!failure.fix.is_empty(), "it says what to do: {failure:#?}");
    let why = said(&lab.dinp(&["why", app]).await);
    // Lines are broken to the terminal's width.
    let unbroken = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let clause = failure.why.split([';', ',']).next().expect("a clause");
    assert!(unbroken(&why).contains(&unbroken(clause)), "dinp why says it too: {why}");
    ended
}

fn cause(ended: &DeployView) -> (Cause, String) {
    let failure = ended.failure.as_ref().expect("a cause");
    (failure.cause, format!("{} {}", failure.why, failure.fix))
}

pub async fn a_release_that_crashes_fails_with_its_last_words(world: &World) {
    let ended = fails(world, "bad-crash", "crash").await;
    assert_eq!(cause(&ended).0, Cause::CrashedOnStart);
    let output = ended.failure.expect("a cause").output.expect("its output");
    assert!(output.contains("could not open the database"), "{output}");
}

pub async fn a_release_that_never_is_healthy_fails(world: &World) {
    let ended = fails(world, "bad-health", "health").await;
    let (cause, words) = cause(&ended);
    assert_eq!(cause, Cause::NeverHealthy, "{words}");
    assert!(words.contains("503"), "{words}");
}

pub async fn a_release_on_the_wrong_port_is_told_where_it_listens(world: &World) {
    let ended = fails(world, "bad-port", "port").await;
    let (cause, words) = cause(&ended);
    assert_eq!(cause, Cause::WrongAddress, "{words}");
    assert!(words.contains("0.0.0.0:5000") && words.contains("8080"), "{words}");
}

pub async fn a_release_on_loopback_is_told_to_listen_on_all_addresses(world: &World) {
    let ended = fails(world, "bad-loopback", "loopback").await;
    let (cause, words) = cause(&ended);
    assert_eq!(cause, Cause::WrongAddress, "{words}");
    assert!(words.contains("127.0.0.1:8080") && words.contains("0.0.0.0"), "{words}");
}

pub async fn an_image_that_does_not_exist_is_refused_before_anything_starts(world: &World) {
    let lab = world.lab().await;
    lab.deploy("bad-image", &sample::binary(), settings(None)).await;
    let before = lab.docker.all("bad-image");
    let output = lab.dinp(&["deploy", "--image", "nobody/has-this:v9", "-a", "bad-image"]).await;
    let text = said(&output);
    assert!(!output.status.success() && text.contains("nobody/has-this:v9") && text.contains("try:"), "{text}");
    assert_eq!(lab.docker.all("bad-image"), before);
}

pub async fn a_release_whose_image_somebody_removed_fails_without_a_container(world: &World) {
    let lab = world.lab().await;
    let file = sample::version(lab.folder(), "doomed");
    lab.deploy("lost-image", &file, settings(None)).await;
    let image = lab.app("lost-image").await.image.expect("an image");
    lab.deploy("lost-image", &sample::binary(), settings(None)).await;
    let before = lab.settled("lost-image").await;
    let containers = lab.docker.running("lost-image");
    lab.docker.run(&["rmi", "-f", image.config.as_str()]);
    let load = lab.load("lost-image");
    let request = RollbackRequest { to: Some(ReleaseNo(1)) };
    let refused = match lab.client().rollback(&name("lost-image"), &request).await {
        Err(error) => error.to_string(),
        Ok(begun) => {
            let ended = lab.deploy_end(&begun).await;
            assert_eq!(ended.state, DeployState::Failed, "{ended:#?}");
            cause(&ended).1
        }
    };
    assert!(refused.contains("image default/lost-image"), "{refused}");
    until("only the old container is left", SETTLE, async || lab.docker.all("lost-image"), |all| *all == containers).await;
    load.stop().await.assert_nothing_lost();
    assert_eq!(lab.app("lost-image").await.app.release, before.app.release);
}
