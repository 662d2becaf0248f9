//! Requests whose answer is lost after their change is stored: the same key finds the change, and makes no second one.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::post;
use axum::{Extension, response::Response};
use dinp_common::deploy::DeployKind;
use dinp_store::StoreError;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use super::{Answer, Server, admin};
use crate::api::changes::{self, Begun};
use crate::api::extract::Terms;
use crate::api::problem::ApiResult;
use crate::api::{AppState, idempotency, layers, problem};
use crate::auth::Principal;
use crate::explain::fixtures::name;

async fn change(state: &AppState, by: &Principal, terms: Terms) -> ApiResult<Begun> {
    changes::begin(state, changes::intent(&name("hello"), DeployKind::Restart, "restart".into(), by, terms)).await
}

fn unanswered() -> StoreError {
    StoreError::OutcomeUnknown { why: "the connection broke".into() }
}

async fn stored_and_unanswered(State(state): State<AppState>, by: Extension<Principal>, terms: Terms) -> ApiResult<Begun> {
    change(&state, &by, terms).await?;
    Err(unanswered().into())
}

async fn stored_and_broken(State(state): State<AppState>, by: Extension<Principal>, terms: Terms) -> Response {
    change(&state, &by, terms).await.expect("begins");
    panic!("after the commit")
}

async fn not_stored(State(_): State<AppState>) -> ApiResult<Begun> {
    Err(unanswered().into())
}

/// The product's own layers around handlers that lose their answers.
fn router(state: &AppState) -> Router {
    Router::new()
        .route("/unanswered", post(stored_and_unanswered))
        .route("/broken", post(stored_and_broken))
        .route("/nothing", post(not_stored))
        .layer(from_fn_with_state(state.clone(), idempotency::once))
        .layer(Extension(admin()))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn(problem::problems))
        .layer(from_fn(layers::trace))
        .with_state(state.clone())
}

async fn send(server: &Server, path: &str) -> Answer {
    let request = Request::post(path).header("idempotency-key", path).body(Body::empty()).expect("a request");
    Answer::of(router(&server.state).oneshot(request).await.expect("a router never fails")).await
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_looked_up_and_not_repeated() {
    let server = Server::new().await;
    server.with_live_app().await;
    for (path, status, code, number) in [("/unanswered", 503, "outcome_unknown", 2), ("/broken", 500, "internal", 3)] {
        send(&server, path).await.problem(status, code);
        for again in ["looked up", "kept"] {
            let found = send(&server, path).await;
            assert_eq!(found.accepted()["number"], number, "{path} {again}");
            assert_eq!(found.headers["idempotent-replayed"], "true");
            assert_eq!(found.headers[header::LOCATION], format!("/v1/apps/hello/deploys/{number}"));
        }
        let newest = server.state.store.deploy_latest(&name("hello")).await.expect("reads").expect("a deploy");
        assert_eq!(newest.number.0, number, "{path} was done again");
    }
}

#[tokio::test]
async fn a_change_that_was_not_stored_is_tried_again() {
    let server = Server::new().await;
    for _ in 0..2 {
        let answer = send(&server, "/nothing").await;
        answer.problem(503, "outcome_unknown");
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}
