use std::io;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use bytes::Bytes;
use dinp_common::limits;
use futures_util::stream;
use serde_json::json;

use super::{Answer, Server};

fn kept(server: &Server) -> usize {
    server.state.artifacts.list().expect("the folder").len()
}

#[tokio::test]
async fn an_upload_is_named_by_its_content_and_deployed_in_a_second_call() {
    let server = Server::new().await;
    let put = server.put("/v1/artifacts?file_name=..%2Fsh%0Aop.tar.gz", b"hello").await;
    assert_eq!(put.status, StatusCode::CREATED, "{}", put.text);
    let artifact = put.json();
    assert_eq!((artifact["file_name"].as_str(), artifact["bytes"].as_u64()), (Some("shop.tar.gz"), Some(5)));
    let digest = artifact["digest"].as_str().expect("a digest");
    let head = server.request(Method::HEAD, &format!("/v1/artifacts/{digest}")).body(Body::empty()).expect("a request");
    assert_eq!(server.send(head).await.status(), StatusCode::OK);
    let source = json!({"from": "artifact", "digest": digest, "file_name": "shop.tar.gz"});
    let deploy = server.post("/v1/apps/shop/deploys", json!({"source": source})).await.accepted();
    assert_eq!((deploy["phase"].as_str(), deploy["build"]["state"].as_str()), (Some("build"), Some("queued")));
    assert_eq!(deploy["note"], "deploy of shop.tar.gz");
    let unknown = json!({"from": "artifact", "digest": format!("sha256:{}", "0".repeat(64)), "file_name": "x"});
    server.post("/v1/apps/shop/deploys", json!({"source": unknown})).await.problem(422, "artifact_unknown");
}

#[tokio::test]
async fn curl_dash_t_uploads_and_deploys_in_one_call() {
    let server = Server::new().await;
    let deploy = server.put("/v1/apps/shop/artifact?file_name=shop.jar&kind=jar", b"PK").await.accepted();
    assert_eq!((deploy["build"]["kind"].as_str(), deploy["app"].as_str()), (Some("jar"), Some("shop")));
    server.put("/v1/apps/shop/artifact?kind=rocket", b"PK").await.problem(422, "invalid_query");
    server.put("/v1/apps/Shop/artifact", b"PK").await.problem(422, "invalid_name");
    assert_eq!(kept(&server), 1, "what is refused by its name is not even received");
}

#[tokio::test]
async fn an_upload_that_is_cut_empty_or_too_large_leaves_nothing() {
    let server = Server::new().await;
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(io::Error::from(io::ErrorKind::ConnectionReset))]);
    let request = server.request(Method::PUT, "/v1/artifacts").body(Body::from_stream(broken)).expect("a request");
    Answer::of(server.send(request).await).await.problem(400, "upload_cut");
    server.put("/v1/artifacts", b"").await.problem(422, "artifact_empty");
    let large = server.request(Method::PUT, "/v1/artifacts").header(header::CONTENT_LENGTH, limits::ARTIFACT_BYTES + 1);
    let answer = Answer::of(server.send(large.body(Body::from("x")).expect("a request")).await).await;
    answer.problem(413, "artifact_too_large");
    assert_eq!(kept(&server), 0);
}
