use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use dinp_common::api::{DeployView, WatchEvent};
use dinp_common::deploy::{DeployNo, DeployState};
use dinp_common::digest::{Digest, Image};
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::name::NodeName;
use dinp_common::plan::Change;
use dinp_common::release::ReleaseNo;
use dinp_common::size::MiB;
use dinp_common::wire::ServerMessage;
use serde_json::json;

use super::{Answer, Server, admin};
use crate::api::deploys;
use crate::cluster::Snapshot;
use crate::explain::fixtures::{self, Scene, name};

#[tokio::test]
async fn every_change_is_a_deploy_with_a_place_to_follow_it() {
    let server = Server::new().await;
    server.with_live_app().await;
    let hello = "/v1/apps/hello";
    for (path, body, note) in [
        ("/scale", json!({"instances": 3}), "scale to 3 instances"),
        ("/scale", json!({"memory": "512MiB"}), "scale to 512MiB"),
        ("/restart", json!({}), "restart"),
        ("/stop", json!({}), "stop"),
        ("/start", json!({}), "start"),
    ] {
        let answer = server.post(&format!("{hello}{path}"), body).await;
        let deploy = answer.accepted();
        assert_eq!((deploy["note"].as_str(), deploy["state"].as_str()), (Some(note), Some("running")), "{deploy}");
        let place = answer.headers[header::LOCATION].to_str().expect("a place").to_owned();
        assert_eq!(server.get(&place).await.json()["number"], deploy["number"]);
    }
    let changed = server.call(Method::PATCH, &format!("{hello}/env"), json!({"set": {"LOG": "info"}})).await.accepted();
    assert_eq!(changed["note"], "set LOG");
    let deploys = server.get(&format!("{hello}/deploys?limit=2")).await.json();
    assert_eq!(deploys["items"].as_array().expect("items").len(), 2);
    let next =
        server.get(&format!("{hello}/deploys?limit=200&cursor={}", deploys["next_cursor"].as_str().expect("a cursor"))).await;
    assert_eq!(next.json()["items"].as_array().expect("items").len(), 5);
    let deleted = server.call(Method::DELETE, hello, json!({})).await.accepted();
    assert_eq!(deleted["kind"], "delete");
    server.post(&format!("{hello}/restart"), json!({})).await.problem(409, "app_deleting");
}

#[tokio::test]
async fn numbers_out_of_bounds_are_refused_in_words() {
    let server = Server::new().await;
    server.with_live_app().await;
    for n in [json!(-1), json!(10_000), json!(1.5)] {
        let problem = server.post("/v1/apps/hello/scale", json!({"instances": n})).await.problem(422, "invalid_request");
        assert!(problem.detail.contains("from 0 to 1000"), "{problem:?}");
        assert_eq!(problem.errors[0].pointer, "/instances");
    }
    let problem = server.post("/v1/apps/hello/scale", json!({"memory": "256"})).await.problem(422, "invalid_request");
    assert!(problem.detail.contains("the unit is missing"), "{problem:?}");
    let problem = server.post("/v1/apps/hello/scale", json!({"memory": "4M"})).await.problem(422, "invalid_request");
    assert!(problem.detail.contains("8MiB is the least"), "{problem:?}");
    let problem = server.post("/v1/apps/hello/scale", json!({"instnces": 1})).await.problem(422, "invalid_request");
    assert!(problem.detail.contains("instnces"), "{problem:?}");
    server.post("/v1/apps/hello/scale", json!({})).await.problem(422, "nothing_asked");
    assert_eq!(server.desired().await.deploys.len(), 0, "nothing began");
}

#[tokio::test]
async fn what_can_never_fit_is_refused_before_anything_is_built() {
    let server = Server::seeing(Scene::new(1).serving("aaa111", 3).0).await;
    let uploaded = server.put("/v1/artifacts?file_name=hello", b"binary").await.json();
    let deploy = |memory: &str, strategy: Option<&str>| {
        json!({"source": {"from": "artifact", "digest": uploaded["digest"], "file_name": "hello"},
            "settings": {"memory": memory, "strategy": strategy}})
    };
    let problem = server.post("/v1/apps/other/deploys", deploy("64G", None)).await.problem(422, "no_room");
    assert!(problem.detail.contains("n1 has 768MiB free of 1GiB"), "{problem:?}");
    let problem = server.post("/v1/apps/hello/deploys", deploy("900M", None)).await.problem(422, "no_room");
    assert!(problem.suggestion.expect("choices").contains("--strategy recreate"));
    server.post("/v1/apps/hello/deploys", deploy("900M", Some("recreate"))).await.accepted();
}

#[tokio::test]
async fn rollback_goes_to_what_served_before_and_undoes_itself() {
    let server = Server::new().await;
    let image = |n: u8| Image { config: Digest::from_sha256([n; 32]), ..fixtures::image() };
    server.with_live_app().await;
    server.post("/v1/apps/hello/rollback", json!({})).await.problem(409, "nothing_before");
    server.released(&admin(), 2, image(2)).await;
    let back = server.post("/v1/apps/hello/rollback", json!({})).await.accepted();
    assert_eq!((back["note"].as_str(), back["to"].as_u64()), (Some("rollback to v1"), Some(3)));
    let releases = server.get("/v1/apps/hello/releases").await.json();
    assert_eq!(releases["items"][0]["image"], releases["items"][2]["image"], "v3 is v1 again");
    server.post("/v1/apps/hello/rollback", json!({"to": 2})).await.problem(422, "already_live");
    server.post("/v1/apps/hello/rollback", json!({"to": 9})).await.problem(404, "release_not_found");
}

#[tokio::test]
async fn a_rollback_to_an_image_that_is_gone_says_so() {
    let mut snapshot = Snapshot { leading: true, ..Snapshot::default() };
    snapshot.desired.images.keep = vec![Digest::from_sha256([2; 32])];
    let server = Server::seeing(snapshot).await;
    server.with_live_app().await;
    server.released(&admin(), 2, Image { config: Digest::from_sha256([2; 32]), ..fixtures::image() }).await;
    server.post("/v1/apps/hello/rollback", json!({"to": 1})).await.problem(422, "image_gone");
}

#[tokio::test]
async fn an_edit_of_what_changed_meanwhile_is_refused() {
    let server = Server::new().await;
    server.with_live_app().await;
    let seen = server.get("/v1/apps/hello").await;
    let etag = seen.headers[header::ETAG].clone();
    server.post("/v1/apps/hello/scale", json!({"instances": 2})).await.accepted();
    let request = server.request(Method::POST, "/v1/apps/hello/restart").header(header::IF_MATCH, etag);
    let late = Answer::of(server.send(request.body(Body::empty()).expect("a request")).await).await;
    late.problem(412, "changed_meanwhile");
}

#[tokio::test]
async fn names_that_are_taken_reserved_or_unknown_are_explained() {
    let server = Server::new().await;
    server.with_live_app().await;
    let problem = server.get("/v1/apps/helo").await.problem(404, "app_not_found");
    assert_eq!(problem.suggestion.as_deref(), Some("did you mean hello?"));
    let image = json!({"source": {"from": "image", "reference": "shop:1"}});
    let problem = server.post("/v1/apps/Shop/deploys", image.clone()).await.problem(422, "invalid_name");
    assert!(problem.detail.contains("use lowercase"), "{problem:?}");
    server.post("/v1/apps/dash/deploys", image.clone()).await.problem(422, "invalid_name");
    server.post("/v1/apps/shop/deploys", image).await.problem(503, "no_node");
    let odd = json!({"source": {"from": "image", "reference": "-v /:/host"}});
    server.post("/v1/apps/shop/deploys", odd).await.problem(422, "invalid_request");
}

#[tokio::test]
async fn values_are_answered_to_people_but_no_value_is_in_a_note_or_an_event() {
    let server = Server::new().await;
    server.with_live_app().await;
    let change = json!({"set": {"PASSWORD": "hunter2"}});
    let deploy = server.call(Method::PATCH, "/v1/apps/hello/env", change.clone()).await;
    deploy.accepted();
    let (events, why) = (server.get("/v1/events").await, server.get("/v1/apps/hello/why").await);
    for answer in [&deploy, &events, &why] {
        assert!(!answer.text.contains("hunter2"), "{}", answer.text);
    }
    let large = json!({"set": {"BIG": "x".repeat(200_000)}});
    let problem = server.call(Method::PATCH, "/v1/apps/hello/env", large).await.problem(422, "env_too_large");
    assert!(problem.detail.contains("131 kB"), "{problem:?}");
    server.call(Method::PATCH, "/v1/apps/hello/env", json!({"set": {"PORT": "1"}})).await.problem(422, "invalid_request");
    server.call(Method::PATCH, "/v1/apps/hello/env", json!({"unset": ["NOT_THERE"]})).await.problem(422, "env_not_set");
}

#[tokio::test]
async fn a_wait_ends_with_the_deploy() {
    let server = Server::new().await;
    server.with_live_app().await;
    let begun = server.post("/v1/apps/hello/scale", json!({"instances": 2})).await.accepted();
    let path = format!("/v1/apps/hello/deploys/{}", begun["number"]);
    let end = async {
        let deploy = DeployNo(begun["number"].as_u64().expect("a number") as u32);
        let state = DeployState::Succeeded;
        server.commit(vec![Change::Finish { app: name("hello"), deploy, state, failure: None }]).await;
        server.state.cluster.announce(WatchEvent::App { app: "hello".into() });
    };
    assert_eq!(server.get(&path).await.json()["state"], "running");
    let waiting = format!("{path}?wait=60");
    let (answer, ()) = tokio::join!(server.get(&waiting), end);
    assert_eq!(answer.json()["state"], "succeeded");
}

#[tokio::test]
async fn whoever_waits_for_a_deletion_learns_that_it_is_done() {
    let server = Server::new().await;
    server.with_live_app().await;
    let begun = server.call(Method::DELETE, "/v1/apps/hello", json!({})).await.accepted();
    let shown: DeployView = serde_json::from_value(begun).expect("a deploy");
    let still = deploys::again(&server.state, shown).await.expect("reads");
    assert_eq!(still.state, DeployState::Running);
    server.commit(vec![Change::Erase { app: name("hello") }]).await;
    let gone = deploys::again(&server.state, still).await.expect("reads");
    assert_eq!((gone.state, gone.step.as_str()), (DeployState::Succeeded, "done"));
    server.get("/v1/apps/hello").await.problem(404, "app_not_found");
}

#[tokio::test]
async fn an_app_is_shown_with_its_instances_and_why() {
    let mut snapshot = Scene::new(1).0;
    snapshot.desired.instances = vec![Instance {
        id: InstanceId::parse("aaa111").expect("an id"),
        app: name("hello"),
        release: ReleaseNo(3),
        generation: 0,
        node: fixtures::node(),
        index: 0,
        want: Want::Run,
        proven: false,
        spent_ms: 0,
        address: None,
        reason: "the only node".into(),
    }];
    let server = Server::seeing(snapshot).await;
    server.with_live_app().await;
    let app = server.get("/v1/apps/hello").await.json();
    assert_eq!((app["status"].as_str(), app["url"].as_str()), (Some("Down"), Some("http://hello.localhost:8080")));
    assert_eq!(app["instances"][0]["status"], "Pending");
    let apps = server.get("/v1/apps?q=hel").await.json();
    assert_eq!(apps["items"][0]["reason"], app["reason"]);
    assert_eq!(server.get("/v1/apps?q=zzz").await.json()["items"], json!([]));
    let why = server.get("/v1/apps/hello/why").await.json();
    assert!(why["sentences"][0].as_str().expect("a sentence").starts_with("hello is to run 1 instance of v1"), "{why}");
    let nodes = server.get("/v1/nodes").await.json();
    assert_eq!(
        (nodes["items"][0]["memory_reserved"].as_str(), nodes["items"][0]["status"].as_str()),
        (Some("256MiB"), Some("Ready"))
    );
}

#[tokio::test]
async fn a_request_whose_caller_goes_away_is_answered_when_it_comes_again() {
    use std::task::Poll;
    use std::time::{Duration, Instant};

    let server = Server::new().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut link = server.state.cluster.agent_joined(&fixtures::hello(), Instant::now());
    let request = || {
        let request = server.request(Method::POST, "/v1/apps/hello/deploys").header("idempotency-key", "k1");
        let body = json!({"source": {"from": "image", "reference": "hello:1"}}).to_string();
        request.header("content-type", "application/json").body(Body::from(body)).expect("a request")
    };
    let mut first = Box::pin(server.send(request()));
    let id = loop {
        assert!(matches!(futures_util::poll!(&mut first), Poll::Pending), "it waits for the agent");
        assert!(Instant::now() < deadline, "the agent is not asked");
        match link.messages.try_recv() {
            Ok(ServerMessage::Ask { id, .. }) => break id,
            _ => tokio::task::yield_now().await,
        }
    };
    drop(first);
    link.image(id, Ok(fixtures::image()));
    let again = loop {
        let answer = Answer::of(server.send(request()).await).await;
        if answer.status != StatusCode::CONFLICT {
            break answer;
        }
        assert!(Instant::now() < deadline, "{}", answer.text);
        tokio::task::yield_now().await;
    };
    assert_eq!(again.headers["idempotent-replayed"], "true", "{}", again.text);
    assert_eq!(again.accepted()["number"], 1);
    assert_eq!(server.desired().await.deploys.len(), 1);
}

#[tokio::test]
async fn a_pace_that_moves_nothing_is_refused_and_another_is_the_app_s() {
    let server = Server::new().await;
    let uploaded = server.put("/v1/artifacts?file_name=hello", b"binary").await.json();
    let deploy = |settings: serde_json::Value| json!({"source": {"from": "artifact", "digest": uploaded["digest"], "file_name": "hello"}, "settings": settings});
    let frozen = server.post("/v1/apps/hello/deploys", deploy(json!({"max_surge": 0}))).await.problem(422, "invalid_request");
    assert!(frozen.detail.contains("max_surge 0 and max_unavailable 0"), "{}", frozen.detail);
    server.post("/v1/apps/hello/deploys", deploy(json!({"max_surge": "101%"}))).await.problem(422, "invalid_request");
    server.post("/v1/apps/hello/deploys", deploy(json!({"max_surge": 0, "max_unavailable": "25%"}))).await.accepted();
    server.post("/v1/apps/hello/deploys", deploy(json!({"max_unavailable": 0}))).await.problem(422, "invalid_request");
    let app = server.get("/v1/apps/hello").await.json();
    assert_eq!((app["max_surge"].as_str(), app["max_unavailable"].as_str()), (Some("0"), Some("25%")));
}

#[tokio::test]
async fn an_app_that_may_miss_one_is_not_refused_for_want_of_room_for_one_more() {
    let scene = Scene::new(3).serving("aaa111", 3).serving("bbb222", 3).serving("ccc333", 3);
    let server = Server::seeing(scene.0).await;
    let uploaded = server.put("/v1/artifacts?file_name=hello", b"binary").await.json();
    let deploy = |unavailable: u32| {
        json!({"source": {"from": "artifact", "digest": uploaded["digest"], "file_name": "hello"},
            "settings": {"instances": 3, "memory": "300M", "max_unavailable": unavailable}})
    };
    server.post("/v1/apps/hello/deploys", deploy(0)).await.problem(422, "no_room");
    server.post("/v1/apps/hello/deploys", deploy(1)).await.accepted();
}

#[tokio::test]
async fn what_is_missing_already_cannot_be_done_without_once_more() {
    let mut scene = Scene::new(3).serving("aaa111", 3).serving("bbb222", 3).serving("ccc333", 3);
    // Among several nodes only what finds no room beside what runs is refused.
    let mut small = scene.0.nodes.values().next().expect("a node").clone();
    small.facts.as_mut().expect("it has reported").capacity.memory = MiB(64);
    scene.0.nodes.insert(NodeName::parse("n2").expect("a name"), small);
    let server = Server::seeing(scene.0).await;
    let uploaded = server.put("/v1/artifacts?file_name=hello", b"binary").await.json();
    let deploy = |instances: u32| {
        json!({"source": {"from": "artifact", "digest": uploaded["digest"], "file_name": "hello"},
            "settings": {"instances": instances, "memory": "300M", "max_unavailable": 1}})
    };
    let refused = server.post("/v1/apps/hello/deploys", deploy(4)).await.problem(422, "no_room");
    assert!(refused.detail.contains("beside the running one"), "three of four run: {}", refused.detail);
    server.post("/v1/apps/hello/deploys", deploy(3)).await.accepted();
}
