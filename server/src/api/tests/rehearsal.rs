use dinp_common::rehearsal::PlanView;
use serde_json::json;

use super::Server;
use crate::explain::fixtures;

#[tokio::test]
async fn a_dry_run_answers_the_plan_and_changes_nothing() {
    let server = Server::new().await;
    server.with_live_app().await;
    server.state.store.node_record(&fixtures::node()).await.expect("records");
    let before = server.desired().await;

    let answer = server.post("/v1/apps/hello/scale?dry_run=true", json!({"instances": 3})).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    let plan: PlanView = serde_json::from_str(&answer.text).expect("a plan");
    assert_eq!((plan.note.as_str(), plan.after_build), ("scale to 3 instances", false));
    let node = &plan.nodes[0];
    assert_eq!((node.name.as_str(), node.now, node.then), ("n1", 0, 0));
    assert_eq!(plan.filtered.as_deref(), Some("n1: it has not reported yet"));
    let failure = plan.failure.expect("no node reports here, so nothing fits");
    assert!(failure.why.contains("n1: it has not reported yet"), "{failure:?}");

    let nowhere = json!({"from": "artifact", "digest": format!("sha256:{}", "0".repeat(64)), "file_name": "a/shop.war"});
    let answer = server.post("/v1/apps/hello/deploys?dry_run=true", json!({"source": nowhere})).await.json();
    assert_eq!((answer["note"].as_str(), answer["after_build"].as_bool()), (Some("deploy of shop.war"), Some(true)));
    assert_eq!((answer["from"].as_u64(), answer["to"].as_u64()), (Some(1), Some(2)));
    assert_eq!(server.desired().await, before);
    server.post("/v1/apps/hello/scale?dry_run=perhaps", json!({"instances": 3})).await.problem(422, "invalid_query");
}
