//! The client against a small server of the same shapes, in memory and over TCP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, head, post, put};
use dinp_client::{Client, ClientError, LogQuery, UploadStep};
use dinp_common::api::{ArtifactView, WatchEvent, Whoami};
use dinp_common::digest::Digest;
use dinp_common::name::AppName;
use dinp_common::problem::Problem;
use dinp_common::token::{Token, TokenKind};
use futures_util::{StreamExt, TryStreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn token() -> Token {
    Token::from_random(TokenKind::Personal, [3; 32])
}

fn app() -> AppName {
    AppName::parse("hello").expect("a name")
}

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn problem(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).expect("a status");
    let body = serde_json::to_string(problem).expect("encodes");
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}

async fn whoami(headers: HeaderMap) -> Response {
    let expected = format!("Bearer {}", token().expose());
    match headers.get(header::AUTHORIZATION) {
        Some(value) if *value == *expected => {
            json(r#"{"user": "admin", "team": "default", "token": "laptop", "from_a_newer_server": 1}"#.to_owned())
        }
        _ => problem(&Problem::new(401, "not_signed_in", "no token came with the request").suggest("dinp login")),
    }
}

/// Answers the digest and name of what arrived.
async fn artifact_put(Query(query): Query<std::collections::HashMap<String, String>>, body: Bytes) -> Response {
    use sha2::Digest as _;
    let digest = Digest::from_sha256(sha2::Sha256::digest(&body).into());
    let view = ArtifactView { digest, bytes: body.len() as u64, file_name: query["file_name"].clone() };
    json(serde_json::to_string(&view).expect("encodes"))
}

/// Knows the artifact whose content is `known`.
async fn artifact_head(Path(digest): Path<String>) -> StatusCode {
    use sha2::Digest as _;
    let known = Digest::from_sha256(sha2::Sha256::digest(b"known").into());
    if digest == known.as_str() { StatusCode::OK } else { StatusCode::NOT_FOUND }
}

async fn logs(Query(query): Query<std::collections::HashMap<String, String>>) -> Response {
    assert_eq!(query.get("tail").map(String::as_str), Some("5"));
    let line = |text: &str| {
        format!("{{\"at\":\"2026-11-21T00:00:00Z\",\"instance\":\"a1b2c3\",\"stderr\":false,\"text\":\"{text}\"}}\n")
    };
    let parts = vec![line("one"), "\n".to_owned(), line("two")[..20].to_owned(), line("two")[20..].to_owned()];
    let stream = futures_util::stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>));
    Body::from_stream(stream).into_response()
}

async fn watch() -> &'static str {
    ": keep-alive\n\nid: 1\nevent: put\ndata: {\"changed\":\"app\",\"app\":\"hello\"}\n\ndata: {\"changed\":\ndata: \"resync\"}\n\n"
}

/// Refuses a POST without a key; counts the others.
async fn restart(State(calls): State<Arc<AtomicU32>>, headers: HeaderMap) -> Response {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    assert_eq!(key.len(), 32, "an idempotency key");
    calls.fetch_add(1, Ordering::Relaxed);
    problem(&Problem::new(404, "app_not_found", "there is no app hello"))
}

fn server() -> Router {
    Router::new()
        .route("/v1/whoami", get(whoami))
        .route("/v1/artifacts", put(artifact_put))
        .route("/v1/artifacts/{digest}", head(artifact_head))
        .route("/v1/apps/hello/logs", get(logs))
        .route("/v1/watch", get(watch))
        .route("/v1/apps/hello/restart", post(restart))
        .route("/v1/builder/claim", post(|| async { StatusCode::NO_CONTENT }))
        .route("/v1/nodes", get(|| async { (StatusCode::BAD_GATEWAY, "<html>bad gateway</html>") }))
        .route("/v1/bases", get(|| async { json("{\"items\": 7}".to_owned()) }))
        .with_state(Arc::new(AtomicU32::new(0)))
}

async fn over_tcp(router: Router) -> Client {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Client::connect(&url, Some(token())).expect("a client")
}

async fn both() -> [Client; 2] {
    [Client::in_memory(server(), Some(token())), over_tcp(server()).await]
}

#[tokio::test]
async fn calls_decode_answers_and_problems_either_way() {
    for client in both().await {
        let whoami = client.whoami().await.expect("signed in");
        assert_eq!(whoami, Whoami { user: "admin".into(), team: "default".into(), token: "laptop".into() });
        let other = client.with_token(Token::from_random(TokenKind::Session, [4; 32]));
        let error = other.whoami().await.expect_err("another caller");
        let problem = error.problem().expect("a problem");
        assert_eq!((problem.code.as_str(), problem.suggestion.as_deref()), ("not_signed_in", Some("dinp login")));
        let error = client.restart(&app()).await.expect_err("refused");
        assert_eq!(error.problem().map(|p| p.code.as_str()), Some("app_not_found"));
    }
}

#[tokio::test]
async fn what_is_not_the_api_is_said_to_be_so() {
    for client in both().await {
        let error = client.nodes().await.expect_err("a page of a proxy");
        assert_eq!(error.status(), Some(502));
        assert!(error.to_string().contains("bad gateway"), "{error}");
        assert!(matches!(client.bases().await, Err(ClientError::Protocol { status: None, .. })));
        assert_eq!(client.builder_claim(Duration::ZERO).await.expect("nothing to build"), None);
    }
}

#[tokio::test]
async fn an_upload_streams_the_file_and_skips_what_is_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let (new, known) = (folder.path().join("new.bin"), folder.path().join("known.bin"));
    std::fs::write(&new, vec![7u8; 700_000]).expect("writes");
    std::fs::write(&known, b"known").expect("writes");
    for client in both().await {
        let steps = Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = steps.clone();
        let progress = move |step| heard.lock().expect("unpoisoned").push(step);
        let view = client.artifact_upload(&new, "a b.bin", progress.clone()).await.expect("uploads");
        assert_eq!((view.bytes, view.file_name.as_str()), (700_000, "a b.bin"));
        let sent: Vec<UploadStep> = std::mem::take(&mut steps.lock().expect("unpoisoned"));
        assert_eq!(sent.first(), Some(&UploadStep::Sending { sent: 0, total: 700_000 }));
        assert_eq!(sent.last(), Some(&UploadStep::Sending { sent: 700_000, total: 700_000 }));
        assert!(sent.len() > 3, "in several chunks: {sent:?}");
        client.artifact_upload(&known, "known.bin", progress).await.expect("known");
        assert_eq!(*steps.lock().expect("unpoisoned"), [UploadStep::Known { total: 5 }]);
        let missing = client.artifact_upload(&folder.path().join("none"), "none", |_| {}).await;
        assert!(matches!(missing, Err(ClientError::File { .. })));
    }
}

#[tokio::test]
async fn streams_read_lines_and_events_across_chunks() {
    for client in both().await {
        let query = LogQuery { tail: Some(5), ..LogQuery::default() };
        let lines: Vec<_> = client.logs(&app(), &query).await.expect("opens").try_collect().await.expect("reads");
        assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        let events: Vec<_> = client.watch().await.expect("opens").try_collect().await.expect("reads");
        assert_eq!(events, [WatchEvent::App { app: "hello".into() }, WatchEvent::Resync]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_counts_as_lost() {
    let silent = Router::new().route(
        "/v1/watch",
        get(|| async { Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>()) }),
    );
    let client = Client::in_memory(silent, None);
    let mut events = client.watch().await.expect("opens");
    assert!(matches!(events.next().await, Some(Err(ClientError::Interrupted { .. }))));
    assert!(events.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let hung = Router::new().route("/v1/whoami", get(std::future::pending::<StatusCode>));
    let error = Client::in_memory(hung, None).whoami().await.expect_err("late");
    assert!(error.to_string().contains("no answer within 30 s"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_unreachable_with_the_cause() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let error = Client::connect(&url, None).expect("a client").whoami().await.expect_err("refused");
    assert_eq!(error.to_string(), format!("cannot reach {url}: connection refused"));
    assert!(error.is_passing());
}

/// A connection that ends before the answer: the call is made once more, with the same key, and then given up.
#[tokio::test]
async fn a_lost_connection_is_tried_once_more_with_the_same_key() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let served = tokio::spawn(async move {
        let mut keys = Vec::new();
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().await.expect("accepts");
            let mut request = vec![0; 4096];
            let n = socket.read(&mut request).await.expect("reads");
            let head = String::from_utf8_lossy(&request[..n]).to_lowercase();
            keys.extend(head.lines().find(|line| line.starts_with("idempotency-key:")).map(str::to_owned));
            socket.shutdown().await.expect("closes");
        }
        keys
    });
    let error = Client::connect(&url, None).expect("a client").restart(&app()).await.expect_err("lost twice");
    assert!(matches!(error, ClientError::Interrupted { .. }), "{error}");
    let keys = served.await.expect("served");
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
}

/// A full disk shows in mid-upload: the refusal must arrive, although the body has not been read to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_refused_half_way_says_why() {
    let refuse = |body: Body| async move {
        let mut chunks = body.into_data_stream();
        chunks.next().await.expect("a chunk").expect("reads");
        problem(&Problem::new(507, "disk_full", "the server's disk is full"))
    };
    let full = Router::new().route("/v1/apps/hello/artifact", put(refuse));
    let folder = tempfile::tempdir().expect("a folder");
    let large = folder.path().join("large.bin");
    // Much more than the buffers between the two can hold.
    std::fs::File::create(&large).expect("creates").set_len(32 * 1024 * 1024).expect("grows");
    let client = over_tcp(full).await;
    for _ in 0..50 {
        let error = client.app_artifact_put(&app(), &large, "large.bin", None, |_| {}).await.expect_err("refused");
        assert_eq!(error.problem().map(|problem| problem.code.as_str()), Some("disk_full"), "{error}");
    }
}
