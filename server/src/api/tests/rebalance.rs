use axum::http::StatusCode;
use dinp_common::instance::InstanceId;
use dinp_common::name::NodeName;
use dinp_common::plan::Change;
use dinp_common::rebalance::{Moving, Rebalance};
use serde_json::json;

use super::Server;
use crate::explain::fixtures::{self, Scene};

async fn server() -> Server {
    let server = Server::seeing(Scene::new(1).serving("aaa111", 3).0).await;
    server.state.store.node_record(&fixtures::node()).await.expect("records");
    server
}

#[tokio::test]
async fn a_rebalance_says_how_far_it_is_and_how_it_ended() {
    let server = server().await;
    assert_eq!(server.get("/v1/rebalance").await.json()["state"], "none");
    server.post("/v1/rebalance/cancel", json!({})).await.problem(409, "rebalance_not_running");

    let begun = server.post("/v1/rebalance", json!({})).await;
    assert_eq!((begun.status, begun.headers["location"].to_str().ok()), (StatusCode::ACCEPTED, Some("/v1/rebalance")));
    let (begun, again) = (begun.json(), server.post("/v1/rebalance", json!({})).await.json());
    assert_eq!((&begun["begun"], &again["begun"]), (&json!(true), &json!(false)), "one goes on already");
    assert_eq!((&again["state"], &again["by"]), (&json!("running"), &json!("admin")));

    let moving = Moving {
        instance: InstanceId::parse("aaa111").expect("an id"),
        app: fixtures::name("hello"),
        to: NodeName::parse("n2").expect("a name"),
        given_up: false,
    };
    let state = Rebalance { moved: 1, moves: vec![moving], ..Rebalance::new(1, "admin") };
    server.commit(vec![Change::Rebalance(state.clone())]).await;
    let running = server.get("/v1/rebalance").await.json();
    assert_eq!(running["step"], "1 instance has moved; on its way: aaa111 of hello to n2");
    assert_eq!(running["moves"], json!([{ "instance": "aaa111", "app": "hello", "from": "n1", "to": "n2" }]));

    let ended = Rebalance { moved: 2, moves: Vec::new(), ended: Some("no move improves the balance any more".into()), ..state };
    server.commit(vec![Change::Rebalance(ended)]).await;
    let ended = server.get("/v1/rebalance").await.json();
    let step = "2 instances have moved: no move improves the balance any more";
    assert_eq!((&ended["state"], &ended["step"]), (&json!("ended"), &json!(step)));
}

#[tokio::test]
async fn a_cancelled_rebalance_says_who_cancelled_it() {
    let server = server().await;
    server.post("/v1/rebalance", json!({})).await.json();
    let cancelled = server.post("/v1/rebalance/cancel", json!({})).await.json();
    assert_eq!((&cancelled["state"], &cancelled["step"]), (&json!("cancelled"), &json!("nothing has moved; cancelled by admin")));
    assert_eq!(server.post("/v1/rebalance", json!({})).await.json()["begun"], true, "another one may begin");
}

#[tokio::test]
async fn a_rehearsed_rebalance_changes_nothing() {
    let server = server().await;
    let plan = server.post("/v1/rebalance?dry_run=true", json!({})).await;
    assert_eq!(plan.status, StatusCode::OK);
    assert_eq!(plan.json()["moves"], json!([]));
    assert_eq!(server.state.store.rebalance_last().await, Ok(None));
}
