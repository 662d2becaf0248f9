use std::convert::Infallible;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use bytes::Bytes;
use dinp_common::limits;
use futures_util::stream;
use serde_json::json;

use super::{Answer, Server};

#[tokio::test]
async fn whatever_fails_is_a_problem() {
    let server = Server::new().await;
    server.get("/v1/nothing").await.problem(404, "path_not_found");
    let wrong = server.call(Method::DELETE, "/v1/apps", json!({})).await;
    wrong.problem(405, "method_not_allowed");
    assert!(wrong.headers.contains_key(header::ALLOW));
    server.get("/v1/apps?limit=100000").await.problem(422, "invalid_limit");
    server.get("/v1/apps?page=2").await.problem(422, "invalid_query");
    server.get("/v1/builds/abc").await.problem(422, "invalid_name");

    let text = server.request(Method::POST, "/v1/tokens").header(header::CONTENT_TYPE, "text/plain");
    let answer = Answer::of(server.send(text.body(Body::from("{}")).expect("a request")).await).await;
    answer.problem(415, "not_json");
    let half = server.request(Method::POST, "/v1/tokens").header(header::CONTENT_TYPE, "application/json");
    let answer = Answer::of(server.send(half.body(Body::from("{\"name\":")).expect("a request")).await).await;
    answer.problem(400, "not_json");
    let large = json!({"name": "x".repeat(limits::JSON_BODY_BYTES)});
    server.post("/v1/tokens", large).await.problem(413, "body_too_large");
}

/// A body of which nothing ever comes. Once somebody waits for it, time passes as fast as it can.
fn silent() -> Body {
    Body::from_stream(stream::once(async {
        tokio::time::pause();
        std::future::pending::<Result<Bytes, Infallible>>().await
    }))
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::new().await;
    server.with_live_app().await;
    let plain = server.request(Method::POST, "/v1/sessions");
    let keyed = server.request(Method::POST, "/v1/apps/hello/scale").header("idempotency-key", "k1");
    for request in [plain, keyed] {
        let answer = Answer::of(server.send(request.body(silent()).expect("a request")).await).await;
        tokio::time::resume();
        let problem = answer.problem(408, "body_late");
        assert!(problem.detail.contains("30 seconds"), "{problem:?}");
        assert_eq!(answer.headers[header::CONNECTION], "close", "what comes late is no next request");
    }
    let deploys = server.get("/v1/apps/hello/deploys").await.json();
    assert_eq!(deploys["items"].as_array().expect("items").len(), 1, "{deploys}");
}

#[tokio::test]
async fn a_body_too_large_or_cut_is_said_with_a_key_as_without() {
    let server = Server::new().await;
    for key in [None, Some("k1")] {
        let request = || {
            let request = server.request(Method::POST, "/v1/apps/hello/scale").header(header::CONTENT_TYPE, "application/json");
            key.into_iter().fold(request, |request, key| request.header("idempotency-key", key))
        };
        let large = Body::from(vec![b' '; limits::JSON_BODY_BYTES + 1]);
        let answer = Answer::of(server.send(request().body(large).expect("a request")).await).await;
        answer.problem(413, "body_too_large");
        let cut = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))]);
        let answer = Answer::of(server.send(request().body(Body::from_stream(cut)).expect("a request")).await).await;
        answer.problem(400, "body_unreadable");
    }
}

#[tokio::test]
async fn a_request_keeps_its_id_and_a_strange_one_is_replaced() {
    let server = Server::new().await;
    let request = |id: &str| server.request(Method::GET, "/v1/nothing").header("x-request-id", id).body(Body::empty());
    let named = Answer::of(server.send(request("ci-42").expect("a request")).await).await;
    assert_eq!(named.headers["x-request-id"], "ci-42");
    assert_eq!(named.problem(404, "path_not_found").trace_id.as_deref(), Some("ci-42"));
    let strange = Answer::of(server.send(request("a b\"c").expect("a request")).await).await;
    assert_ne!(strange.headers["x-request-id"], "a b\"c");
}

#[tokio::test]
async fn a_panic_is_an_answer_without_its_text() {
    use axum::middleware::from_fn;
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    use crate::api::{layers, problem};
    async fn breaks() -> StatusCode {
        panic!("the password is hunter2")
    }
    let router = axum::Router::new()
        .route("/", axum::routing::get(breaks))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn(problem::problems))
        .layer(from_fn(layers::trace));
    let request = axum::http::Request::get("/").body(Body::empty()).expect("a request");
    let answer = Answer::of(router.oneshot(request).await.expect("an answer")).await;
    answer.problem(500, "internal");
    assert!(!answer.text.contains("hunter2"));
}

#[tokio::test]
async fn a_post_that_comes_twice_acts_once() {
    let server = Server::new().await;
    server.with_live_app().await;
    let send = async |key: &str, instances: u32| {
        let request = server.request(Method::POST, "/v1/apps/hello/scale").header("idempotency-key", key);
        let body = Body::from(json!({"instances": instances}).to_string());
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body).expect("a request");
        Answer::of(server.send(request).await).await
    };
    let first = send("k1", 2).await;
    first.accepted();
    let again = send("k1", 2).await;
    assert_eq!(
        (again.accepted()["number"].clone(), &again.headers["idempotent-replayed"]),
        (json!(2), &"true".parse().expect("a value"))
    );
    assert_eq!(again.headers[header::LOCATION], first.headers[header::LOCATION]);
    send("k1", 3).await.problem(422, "idempotency_key_reused");
    assert_eq!(send("k2", 3).await.accepted()["number"], json!(3));
    send("k3", 100_000).await.problem(422, "invalid_request");
    assert_eq!(send("k3", 4).await.accepted()["number"], json!(4), "a refused request leaves its key free");
}

#[tokio::test]
async fn a_tokens_text_is_in_no_stored_answer() {
    let server = Server::new().await;
    let request = || {
        let request = server.request(Method::POST, "/v1/tokens").header("idempotency-key", "same");
        let request = request.header(header::CONTENT_TYPE, "application/json");
        request.body(Body::from(json!({"name": "ci"}).to_string())).expect("a request")
    };
    let first = Answer::of(server.send(request()).await).await.json();
    let second = Answer::of(server.send(request()).await).await;
    assert!(!second.headers.contains_key("idempotent-replayed"));
    assert_ne!(first["token"], second.json()["token"]);
}
