use axum::http::{StatusCode, header};
use dinp_common::node::Node;
use serde_json::json;

use super::Server;
use crate::explain::fixtures::{self, Scene};

/// One instance of `hello` on `n1`, which the store knows too.
async fn server(draining: bool, hold: Option<&str>) -> Server {
    let mut scene = Scene::new(1).serving("aaa111", 3);
    if let Some(hold) = hold {
        scene = scene.hold(hold);
    }
    scene.0.desired.nodes = vec![Node { name: fixtures::node(), cordoned: draining, draining }];
    let server = Server::seeing(scene.0).await;
    server.state.store.node_record(&fixtures::node()).await.expect("records");
    server
}

#[tokio::test]
async fn a_cordoned_node_says_so_until_it_is_uncordoned() {
    let server = server(false, None).await;
    assert_eq!(server.get("/v1/nodes/n1").await.json()["status"], "Ready");
    let cordoned = server.post("/v1/nodes/n1/cordon", json!({})).await.json();
    assert_eq!(
        (cordoned["status"].as_str(), cordoned["reason"].as_str()),
        (Some("Cordoned"), Some("nothing new is placed on it"))
    );
    assert!(server.desired().await.nodes[0].cordoned);
    let open = server.post("/v1/nodes/n1/uncordon", json!({})).await.json();
    assert_eq!((open["status"].as_str(), open["cordoned"].as_bool()), (Some("Ready"), Some(false)));
    let problem = server.post("/v1/nodes/n2/cordon", json!({})).await.problem(404, "node_not_found");
    assert_eq!(problem.suggestion.as_deref(), Some("did you mean n1?"));
}

#[tokio::test]
async fn a_drain_says_what_is_left_and_what_holds_it_back_until_it_is_safe_to_switch_off() {
    let server = server(true, Some("no room for one more instance of v3: n2: it is lost")).await;
    let begun = server.post("/v1/nodes/n1/drain", json!({})).await;
    assert_eq!(
        (begun.status, &begun.headers[header::LOCATION]),
        (StatusCode::ACCEPTED, &"/v1/nodes/n1/drain".parse().expect("a value"))
    );
    let drain = server.get("/v1/nodes/n1/drain").await.json();
    assert_eq!((drain["state"].as_str(), drain["instances"][0]["id"].as_str()), (Some("draining"), Some("aaa111")));
    let step = "1 instance still to move; held back: hello: no room for one more instance of v3: n2: it is lost";
    assert_eq!(drain["step"].as_str(), Some(step));
    let node = server.get("/v1/nodes").await.json()["items"][0].clone();
    assert_eq!(node["status"], "Draining");
    let node = server.get("/v1/nodes/n1").await.json();
    assert_eq!((node["status"].as_str(), node["reason"].as_str()), (Some("Draining"), Some(step)));

    // The only instance has nowhere to go, so nobody need wait.
    let mut alone = (*server.state.cluster.snapshot()).clone();
    alone.no_room.insert(fixtures::name("hello"), "n1: it is being drained".into());
    server.state.cluster.show(alone);
    let stuck = server.get("/v1/nodes/n1/drain").await.json();
    let why = "n1 is the only node, so nothing on it can move (hello: n1: it is being drained)";
    assert_eq!(
        (stuck["stuck"].as_str(), stuck["step"].as_str()),
        (Some(why), Some(&*format!("1 instance still to move; {why}")))
    );
    assert_eq!(drain["stuck"].as_str(), None, "it may still be placed");

    let mut empty = (*server.state.cluster.snapshot()).clone();
    empty.desired.instances.clear();
    server.state.cluster.show(empty);
    let drained = server.get("/v1/nodes/n1/drain").await.json();
    assert_eq!(
        (drained["state"].as_str(), drained["step"].as_str()),
        (Some("drained"), Some("nothing is left on n1: it is safe to switch off"))
    );
    server.post("/v1/nodes/n1/uncordon", json!({})).await.json();
    assert_eq!(server.get("/v1/nodes/n1/drain").await.json()["state"], "none");
}

#[tokio::test]
async fn a_node_is_shown_with_what_stands_on_it() {
    let node = server(false, None).await.get("/v1/nodes/n1").await.json();
    assert_eq!((node["name"].as_str(), node["instances"].as_u64()), (Some("n1"), Some(1)));
    assert_eq!(node["instances_here"][0]["id"], "aaa111");
}

#[tokio::test]
async fn a_rehearsed_drain_changes_nothing() {
    let server = server(false, None).await;
    let plan = server.post("/v1/nodes/n1/drain?dry_run=true", json!({})).await;
    assert_eq!(plan.status, StatusCode::OK);
    let plan = plan.json();
    assert_eq!((plan["node"].as_str(), plan["left"].as_array().map(Vec::len)), (Some("n1"), Some(0)));
    assert!(!server.desired().await.nodes[0].draining);
    server.post("/v1/nodes/n2/drain?dry_run=true", json!({})).await.problem(404, "node_not_found");
}
