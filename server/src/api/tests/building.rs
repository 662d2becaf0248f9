use std::time::Duration;

use axum::http::{Method, StatusCode};
use dinp_common::token::TokenKind;
use serde_json::{Value, json};

use super::{Answer, Server};
use crate::builds::CLAIM_LAPSES;

impl Server {
    async fn builder(&self, path: &str, body: Value) -> Answer {
        self.as_kind(TokenKind::Builder, Method::POST, path, body).await
    }

    /// Uploads, deploys, claims: the build's number and its claim.
    async fn claimed(&self) -> (u64, String) {
        self.put("/v1/apps/hello/artifact?file_name=hello", b"binary").await.accepted();
        let claim = self.builder("/v1/builder/claim", json!({})).await.json();
        (claim["order"]["id"].as_u64().expect("a number"), claim["claim"].as_str().expect("a claim").to_owned())
    }
}

fn image() -> Value {
    let image = json!({"config": format!("sha256:{}", "7".repeat(64)), "manifest": null, "name": "default/hello:b1", "bytes": 9});
    json!({"outcome": "image", "image": image, "kind": "binary", "health": {"kind": "tcp"}, "dockerfile": "FROM scratch"})
}

#[tokio::test]
async fn a_build_becomes_a_release_and_its_artifact_goes() {
    let server = Server::new().await;
    let (id, claim) = server.claimed().await;
    let artifact = server.as_kind(TokenKind::Builder, Method::GET, &format!("/v1/builder/builds/{id}/artifact"), json!({})).await;
    assert_eq!(artifact.text, "binary");
    let log = format!("/v1/builder/builds/{id}/log");
    let lines = json!({"claim": claim, "lines": ["one", "two"]});
    assert_eq!(server.builder(&log, lines).await.status, StatusCode::NO_CONTENT);
    let read = server.get(&format!("/v1/builds/{id}/log")).await;
    let texts: Vec<Value> =
        read.text.lines().map(|line| serde_json::from_str::<Value>(line).expect("json")["text"].clone()).collect();
    assert_eq!(texts, [json!("one"), json!("two")]);

    let finish = format!("/v1/builder/builds/{id}/finish");
    let foreign = server.builder(&finish, json!({"claim": "0000", "outcome": image()})).await;
    foreign.problem(409, "claim_lost");
    let done = server.builder(&finish, json!({"claim": claim, "outcome": image()})).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.text);
    let deploy = server.get("/v1/apps/hello/deploys/1").await.json();
    assert_eq!((deploy["phase"].as_str(), deploy["to"].as_u64()), (Some("rollout"), Some(1)), "{deploy}");
    assert_eq!(deploy["build"]["dockerfile"], "FROM scratch");
    let release = server.get("/v1/apps/hello/releases").await.json()["items"][0].clone();
    assert_eq!((release["memory"].as_str(), release["build"].as_u64()), (Some("256MiB"), Some(id)));
}

#[tokio::test]
async fn only_an_artifact_that_is_not_there_is_unknown() {
    let server = Server::new().await;
    let (id, _) = server.claimed().await;
    let path = format!("/v1/builder/builds/{id}/artifact");
    let ask = async || server.as_kind(TokenKind::Builder, Method::GET, &path, json!({})).await;
    let artifact = server.state.artifacts.list().expect("the folder").remove(0);
    let file = server.state.artifacts.path(&artifact);
    std::fs::remove_file(&file).expect("removed");
    ask().await.problem(404, "artifact_unknown");
    // A link to itself can be opened by nobody, root included.
    std::os::unix::fs::symlink(&file, &file).expect("a link");
    ask().await.problem(500, "artifact_unreadable");
}

#[tokio::test]
async fn a_failed_build_fails_the_deploy_with_its_words() {
    let server = Server::new().await;
    let (id, claim) = server.claimed().await;
    let failed = json!({"outcome": "failed", "why": "it is for arm64", "fix": "build it for amd64"});
    server.builder(&format!("/v1/builder/builds/{id}/finish"), json!({"claim": claim, "outcome": failed})).await;
    let deploy = server.get("/v1/apps/hello/deploys/1?wait=5").await.json();
    assert_eq!(deploy["state"], "failed");
    let failure = &deploy["failure"];
    assert_eq!((failure["cause"].as_str(), failure["why"].as_str()), (Some("build_failed"), Some("it is for arm64")));
    assert_eq!(failure["now"], "nothing of hello ran before, so nothing changed for its users");
}

#[tokio::test]
async fn a_server_that_stopped_between_a_build_and_its_release_goes_on() {
    let server = Server::new().await;
    let (id, claim) = server.claimed().await;
    let outcome = serde_json::from_value(image()).expect("an outcome");
    let id = dinp_common::build::BuildId(id as u32);
    assert!(server.state.store.build_finish(id, &claim, &outcome).await.expect("stored"));
    assert_eq!(server.get("/v1/apps/hello/deploys/1").await.json()["phase"], "build");
    server.state.builds.settle().await.expect("settles");
    assert_eq!(server.get("/v1/apps/hello/deploys/1").await.json()["phase"], "rollout");
}

#[tokio::test]
async fn a_silent_builder_loses_its_build_to_another_and_the_third_silence_fails_it() {
    let server = Server::new().await;
    let (id, claim) = server.claimed().await;
    let builds = &server.state.builds;
    let late = std::time::Instant::now() + CLAIM_LAPSES;
    builds.lapse(late - Duration::from_secs(5)).await;
    let line = |claim: &str| json!({"claim": claim, "lines": []});
    let log = format!("/v1/builder/builds/{id}/log");
    assert_eq!(server.builder(&log, line(&claim)).await.status, StatusCode::NO_CONTENT, "it was renewed in time");
    let mut claim = claim;
    for _ in 0..2 {
        builds.lapse(std::time::Instant::now() + CLAIM_LAPSES).await;
        server.builder(&log, line(&claim)).await.problem(409, "claim_lost");
        let next = server.builder("/v1/builder/claim", json!({})).await.json();
        assert_eq!(next["order"]["id"].as_u64(), Some(id));
        claim = next["claim"].as_str().expect("a claim").to_owned();
    }
    builds.lapse(std::time::Instant::now() + CLAIM_LAPSES).await;
    let deploy = server.get("/v1/apps/hello/deploys/1").await.json();
    assert_eq!(deploy["state"], "failed", "{deploy}");
    assert!(deploy["failure"]["why"].as_str().expect("why").contains("3 builders"), "{deploy}");
}

#[tokio::test]
async fn a_waiting_builder_gets_the_build_when_it_comes_and_nothing_when_the_server_stops() {
    let server = Server::new().await;
    let upload = async {
        tokio::task::yield_now().await;
        server.put("/v1/apps/hello/artifact?file_name=hello", b"binary").await.accepted();
    };
    let (claim, ()) = tokio::join!(server.builder("/v1/builder/claim?wait=20", json!({})), upload);
    assert_eq!(claim.json()["order"]["file_name"], "hello");
    server.state.shutdown.cancel();
    let none = server.builder("/v1/builder/claim?wait=20", json!({})).await;
    assert_eq!(none.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn artifacts_nobody_needs_are_removed_and_waiting_ones_stay() {
    let server = Server::new().await;
    let (id, claim) = server.claimed().await;
    server.put("/v1/artifacts", b"another, about to be deployed").await;
    // What an earlier run of the server left: no upload of this one.
    let left = dinp_common::digest::Digest::from_sha256([9; 32]);
    std::fs::write(server.state.artifacts.path(&left), b"old").expect("writes");
    let failed = json!({"outcome": "failed", "why": "no", "fix": "yes"});
    server.builder(&format!("/v1/builder/builds/{id}/finish"), json!({"claim": claim, "outcome": failed})).await;
    let kept = server.state.artifacts.list().expect("the folder");
    assert_eq!(kept.len(), 1, "{kept:?}");
}

#[tokio::test]
async fn bases_are_what_a_builder_last_said() {
    let server = Server::new().await;
    let unknown = server.get("/v1/bases").await.json();
    assert_eq!((unknown["items"].as_array().expect("items").len(), unknown["items"][0]["ready"].as_bool()), (4, Some(false)));
    let java = json!([{"name": "java", "image": null, "ready": true, "reason": "made from Debian packages"}]);
    let told = server.as_kind(TokenKind::Builder, Method::PUT, "/v1/builder/bases", java.clone()).await;
    assert_eq!(told.status, StatusCode::NO_CONTENT, "{}", told.text);
    assert_eq!(server.get("/v1/bases").await.json()["items"], java);
}
