//! The loop that takes builds, against a server of a few lines that speaks the builder's API.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path as Segment, State};
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use dinp_builder::Config;
use dinp_common::api::{BaseView, BuildClaim, BuildFinish, BuildLogLines, VersionView};
use dinp_common::build::{BuildId, BuildOrder, BuildOutcome};
use dinp_common::digest::Digest;
use dinp_common::token::{Token, TokenKind};
use dinp_daemon::admin::Readiness;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::engine::{CLUSTER, Engine, order};
use super::files::{binary, tar_gz};

#[derive(Default)]
struct Board {
    waiting: VecDeque<BuildClaim>,
    artifacts: Vec<(BuildId, Vec<u8>)>,
    lines: Vec<String>,
    renewals: u32,
    finished: Vec<(BuildId, BuildOutcome)>,
    /// Whether the claim of a build is somebody else's by now.
    lapsed: bool,
}

type Shared = Arc<(Mutex<Board>, watch::Sender<u64>)>;

fn app(shared: Shared) -> Router {
    Router::new()
        .route(
            "/version",
            get(async || {
                Json(VersionView { version: "0".into(), cluster: CLUSTER.into(), domain: "localhost".into(), port: 80 })
            }),
        )
        .route("/v1/builder/bases", put(async |_: Json<Vec<BaseView>>| StatusCode::NO_CONTENT))
        .route("/v1/builder/claim", post(claim))
        .route("/v1/builder/builds/{id}/artifact", get(artifact))
        .route("/v1/builder/builds/{id}/log", post(log))
        .route("/v1/builder/builds/{id}/finish", post(finish))
        .with_state(shared)
}

async fn claim(State(shared): State<Shared>) -> Result<Json<BuildClaim>, StatusCode> {
    let next = shared.0.lock().expect("board").waiting.pop_front();
    match next {
        Some(claim) => Ok(Json(claim)),
        None => {
            // A long poll that found nothing; shorter than a real one.
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(StatusCode::NO_CONTENT)
        }
    }
}

async fn artifact(State(shared): State<Shared>, Segment(id): Segment<u32>) -> Vec<u8> {
    let board = shared.0.lock().expect("board");
    board.artifacts.iter().find(|(build, _)| build.0 == id).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
}

async fn log(State(shared): State<Shared>, Json(lines): Json<BuildLogLines>) -> StatusCode {
    let lapsed = {
        let mut board = shared.0.lock().expect("board");
        board.lines.extend(lines.lines);
        board.renewals += 1;
        board.lapsed
    };
    // Without the board in hand: whoever waits for a change looks at the board from within the channel's lock.
    shared.1.send_modify(|n| *n += 1);
    if lapsed { StatusCode::CONFLICT } else { StatusCode::NO_CONTENT }
}

async fn finish(State(shared): State<Shared>, Segment(id): Segment<u32>, Json(end): Json<BuildFinish>) -> StatusCode {
    shared.0.lock().expect("board").finished.push((BuildId(id), end.outcome));
    shared.1.send_modify(|n| *n += 1);
    StatusCode::NO_CONTENT
}

/// A server with these builds waiting, and a builder that takes them.
struct Site {
    shared: Shared,
    stop: CancellationToken,
    builder: tokio::task::JoinHandle<anyhow::Result<()>>,
    state: tempfile::TempDir,
}

impl Site {
    async fn open(engine: &Engine, artifacts: Vec<(BuildOrder, Vec<u8>)>, lapsed: bool) -> Self {
        let shared: Shared = Arc::new((Mutex::new(Board { lapsed, ..Board::default() }), watch::channel(0).0));
        for (mut order, bytes) in artifacts {
            order.artifact_bytes = bytes.len() as u64;
            let mut board = shared.0.lock().expect("board");
            board.artifacts.push((order.id, bytes));
            board.waiting.push_back(BuildClaim { claim: "proof".to_owned(), order });
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
        let server = format!("http://{}", listener.local_addr().expect("address"));
        tokio::spawn(axum::serve(listener, app(shared.clone())).into_future());
        let state = tempfile::tempdir().expect("folder");
        let token_file = state.path().join("token");
        std::fs::write(&token_file, Token::from_random(TokenKind::Builder, [1; 32]).expose()).expect("token");
        let leftover = state.path().join("artifact-of-an-earlier-life");
        std::fs::create_dir(&leftover).expect("leftover");
        std::fs::write(leftover.join("artifact"), "x").expect("leftover");
        let config = Config {
            server,
            token_file,
            state_dir: state.path().to_owned(),
            docker: (&engine.socket).into(),
            bases: Default::default(),
            admin: None,
        };
        let stop = CancellationToken::new();
        let builder = tokio::spawn(dinp_builder::run(config, Readiness::default(), stop.clone()));
        Self { shared, stop, builder, state }
    }

    async fn until(&self, done: impl Fn(&Board) -> bool) {
        let mut changes = self.shared.1.subscribe();
        let waited =
            tokio::time::timeout(Duration::from_secs(300), changes.wait_for(|_| done(&self.shared.0.lock().expect("board"))))
                .await;
        if waited.is_err() {
            let board = self.shared.0.lock().expect("board");
            panic!("not done; log {:?}; finished {:?}", board.lines, board.finished);
        }
    }

    async fn close(self) -> Arc<(Mutex<Board>, watch::Sender<u64>)> {
        self.stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(20), self.builder).await.expect("it stops at once");
        ended.expect("no panic").expect("no error");
        assert_eq!(files_in(self.state.path()), ["token"], "something is left in the state folder");
        self.shared
    }
}

fn files_in(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect()
}

fn numbered(app: &str, id: u32, file_name: &str, content: &[u8]) -> BuildOrder {
    BuildOrder { id: BuildId(id), artifact: Digest::from_sha256(Sha256::digest(content).into()), ..order(app, file_name) }
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_are_taken_told_and_finished_well_or_badly() {
    let engine = Engine::for_tests();
    let (good, bad) = (binary("-static"), tar_gz(&[("readme.txt", b"hi")]));
    let mut damaged = numbered("claims", 33, "server", &good);
    damaged.artifact = Digest::from_sha256([9; 32]);
    let site = Site::open(
        &engine,
        vec![
            (numbered("claims", 31, "server", &good), good.clone()),
            (numbered("claims", 32, "x.tar.gz", &bad), bad),
            (damaged, good),
        ],
        false,
    )
    .await;
    site.until(|board| board.finished.len() == 3).await;
    let shared = site.close().await;
    let board = shared.0.lock().expect("board");
    let outcome = |id: u32| board.finished.iter().find(|(build, _)| build.0 == id).map(|(_, outcome)| outcome);
    match outcome(31) {
        Some(BuildOutcome::Image { image, .. }) => {
            assert_eq!(image.name, "default/claims:b31");
            engine.run(&["rmi", "-f", image.config.as_str()]);
        }
        other => panic!("{other:?}"),
    }
    let why = |id| match outcome(id) {
        Some(BuildOutcome::Failed { why, .. }) => why.clone(),
        other => panic!("{other:?}"),
    };
    assert!(why(32).contains("no start command found"), "{}", why(32));
    assert!(why(33).contains("ordered was sha256:0909"), "{}", why(33));
    assert!(board.lines.iter().any(|line| line.contains("statically linked")), "{:?}", board.lines);
    assert!(board.lines.iter().any(|line| line.starts_with("failed: no start command")), "{:?}", board.lines);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_whose_claim_is_somebody_elses_stops_and_says_nothing() {
    let engine = Engine::for_tests();
    let zeros = vec![0; 200 << 20];
    let content = tar_gz(&[("+control", b"#!/bin/sh\n"), ("zeros", &zeros)]);
    let site = Site::open(&engine, vec![(numbered("lapsed", 41, "x.tar.gz", &content), content)], true).await;
    site.until(|board| board.renewals > 0).await;
    // It gives up by itself, long before it is told to end.
    let began = std::time::Instant::now();
    while files_in(site.state.path()) != ["token"] {
        assert!(began.elapsed() < Duration::from_secs(60), "still there: {:?}", files_in(site.state.path()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let shared = site.close().await;
    assert!(shared.0.lock().expect("board").finished.is_empty(), "it told an end that was not its own");
    assert!(engine.try_run(&["image", "inspect", "default/lapsed:b41"]).is_err(), "an image came of it");
}
