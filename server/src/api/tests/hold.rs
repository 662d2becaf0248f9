use dinp_common::deploy::DeployState;
use dinp_common::release::ReleaseNo;
use serde_json::json;

use super::Server;

async fn scaling(server: &Server) -> String {
    let deploy = server.post("/v1/apps/hello/scale", json!({"instances": 3})).await.accepted();
    format!("/v1/apps/hello/deploys/{}", deploy["number"])
}

#[tokio::test]
async fn a_cancelled_deploy_ends_so_and_takes_back_what_it_wanted() {
    let server = Server::new().await;
    server.with_live_app().await;
    let place = scaling(&server).await;
    let cancelled = server.post(&format!("{place}/cancel"), json!({})).await.json();
    assert_eq!(
        (cancelled["state"].as_str(), cancelled["step"].as_str()),
        (Some("cancelled"), Some("cancelled; v1 still serves all traffic"))
    );
    assert_eq!(server.get("/v1/apps/hello").await.json()["instances_when_started"], 1);
    let again = server.post(&format!("{place}/cancel"), json!({})).await;
    assert_eq!(again.json()["state"], "cancelled", "cancelling twice is cancelling once");
    let problem = server.post("/v1/apps/hello/deploys/1/cancel", json!({})).await.problem(409, "deploy_ended");
    assert_eq!(problem.suggestion.as_deref(), Some("to undo it: dinp rollback -a hello"));
    server.post("/v1/apps/hello/deploys/99/cancel", json!({})).await.problem(404, "deploy_not_found");
    server.post("/v1/apps/nobody/deploys/1/cancel", json!({})).await.problem(404, "app_not_found");
}

#[tokio::test]
async fn a_paused_deploy_says_who_holds_it_and_why_until_it_is_resumed() {
    let server = Server::new().await;
    server.with_live_app().await;
    let place = scaling(&server).await;
    let paused = server.post(&format!("{place}/pause"), json!({"reason": "errors"})).await.json();
    assert_eq!((paused["state"].as_str(), paused["paused"].as_str()), (Some("running"), Some("paused by admin: errors")));
    let step = paused["step"].as_str().expect("a step");
    assert_eq!(step, "paused by admin: errors; 0 of 3 are ready, and nothing moves until it is resumed");
    let app = server.get("/v1/apps/hello").await.json();
    assert_eq!(app["status"], "Deploying");
    assert!(app["reason"].as_str().is_some_and(|reason| reason.contains("paused by admin: errors")), "{app}");
    let resumed = server.post(&format!("{place}/resume"), json!({})).await.json();
    assert_eq!(resumed["paused"], json!(null));
    assert_eq!(server.desired().await.deploys[0].to, Some(ReleaseNo(1)));
    server.post(&format!("{place}/pause"), json!({"reason": "a\nb"})).await.problem(422, "invalid_request");
    server.post(&format!("{place}/pause"), json!({"why": "x"})).await.problem(422, "invalid_request");
}

#[tokio::test]
async fn what_must_not_stop_half_way_is_refused_with_what_to_do() {
    let server = Server::new().await;
    server.with_live_app().await;
    let stop = server.post("/v1/apps/hello/stop", json!({})).await.accepted();
    let place = format!("/v1/apps/hello/deploys/{}", stop["number"]);
    let problem = server.post(&format!("{place}/pause"), json!({})).await.problem(409, "cannot_hold");
    assert_eq!(problem.suggestion.as_deref(), Some("cancel it: dinp cancel hello"));
    assert_eq!(server.desired().await.deploys[0].state, DeployState::Running);
}
