//! The API through its front door: the real router and a real store; only agents and builders are played.

mod access;
mod building;
mod changes;
mod document;
mod hold;
mod nodes;
mod problems;
mod rebalance;
mod rehearsal;
mod repeats;
mod streams;
mod uploads;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use dinp_common::app::Backoff;
use dinp_common::digest::Image;
use dinp_common::name::AppName;
use dinp_common::plan::Desired;
use dinp_common::problem::{PROBLEM_JSON, Problem};
use dinp_common::release::ReleaseNo;
use dinp_common::token::{Token, TokenKind};
use dinp_store::{Intent, NewRelease, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{AppState, router};
use crate::auth::{Principal, token_create};
use crate::cluster::{Cluster, Snapshot};
use crate::config::Config;
use crate::explain::fixtures;

/// A server without a leader, an agent or a builder.
pub struct Server {
    pub state: AppState,
    pub router: Router,
    pub admin: Token,
    /// Removed at the end.
    _dir: TempDir,
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 64 * 1024 * 1024).await.expect("the answer's body");
        Self { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).expect("text") }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text))
    }

    /// The problem this answer must be.
    pub fn problem(&self, status: u16, code: &str) -> Problem {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers[header::CONTENT_TYPE], PROBLEM_JSON);
        let problem: Problem = serde_json::from_str(&self.text).expect("a problem");
        assert_eq!((problem.status, problem.code.as_str()), (status, code), "{}", self.text);
        assert!(problem.trace_id.is_some(), "{problem:?}");
        problem
    }

    pub fn accepted(&self) -> Value {
        assert_eq!(self.status, StatusCode::ACCEPTED, "{}", self.text);
        self.json()
    }
}

impl Server {
    pub async fn new() -> Self {
        Self::seeing(Snapshot { leading: true, ..Snapshot::default() }).await
    }

    /// A server whose last plan saw `snapshot`.
    pub async fn seeing(snapshot: Snapshot) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let config = Config { state_dir: dir.path().to_owned(), ..Config::default() };
        let url = format!("sqlite:{}", dir.path().join("state.db").display());
        let store = Store::open(&url.parse().expect("an address")).await.expect("the store opens");
        let cluster = Cluster::showing(snapshot);
        let state = AppState::open(&config, store, cluster, CancellationToken::new()).expect("opens");
        let admin = token_create(&state.store, TokenKind::Personal, "laptop", 1).await.expect("a token");
        Self { router: router(state.clone()), state, admin, _dir: dir }
    }

    pub async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.expect("a router never fails")
    }

    pub fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let bearer = format!("Bearer {}", self.admin.expose());
        Request::builder().method(method).uri(path).header(header::AUTHORIZATION, bearer)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(self.send(self.request(Method::GET, path).body(Body::empty()).expect("a request")).await).await
    }

    pub async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(method, path).header(header::CONTENT_TYPE, "application/json");
        Answer::of(self.send(request.body(Body::from(body.to_string())).expect("a request")).await).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: &'static [u8]) -> Answer {
        let request = self.request(Method::PUT, path).body(Body::from(body)).expect("a request");
        Answer::of(self.send(request).await).await
    }

    /// As another kind of caller.
    pub async fn as_kind(&self, kind: TokenKind, method: Method, path: &str, body: Value) -> Answer {
        let token = token_create(&self.state.store, kind, "n1", 1).await.expect("a token");
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        Answer::of(self.send(request.body(Body::from(body.to_string())).expect("a request")).await).await
    }

    /// `hello` with release 1, which a leader has found good.
    pub async fn with_live_app(&self) {
        let by =
            Principal { kind: TokenKind::Personal, token: "t".into(), origin: None, name: "laptop".into(), user: "admin".into() };
        self.released(&by, 1, fixtures::image()).await;
    }

    /// A release of `hello` that serves, as a deploy leaves it.
    pub async fn released(&self, by: &Principal, number: u32, image: Image) {
        use dinp_common::deploy::{DeployKind, DeployState};
        use dinp_common::plan::Change;
        let name = AppName::parse("hello").expect("a name");
        let spec = dinp_common::release::RunSpec { image, ..fixtures::release(number, 256).spec };
        let intent = super::changes::intent(
            &name,
            DeployKind::Release,
            format!("deploy of v{number}"),
            by,
            super::extract::Terms::default(),
        );
        let release = Some(NewRelease { spec, note: format!("deploy of v{number}"), build: None });
        let deploy = self.state.store.deploy_begin(Intent { create: true, release, ..intent }).await.expect("begins");
        let (app, release) = (name.clone(), ReleaseNo(number));
        self.commit(vec![
            Change::Live { app: name.clone(), release, generation: deploy.generation },
            Change::Backoff { app: name, backoff: Backoff::default() },
            Change::Finish { app, deploy: deploy.number, state: DeployState::Succeeded, failure: None },
        ])
        .await;
    }

    /// Writes what a leader would.
    pub async fn commit(&self, changes: Vec<dinp_common::plan::Change>) {
        let store = &self.state.store;
        let seen = store.lease_read().await.expect("the lease");
        let fence = store.lease_take(&seen, "test", 0).await.expect("the lease").expect("nobody else leads");
        store.commit(&fence, &changes).await.expect("committed");
    }

    pub async fn desired(&self) -> Desired {
        self.state.store.desired_load().await.expect("loads")
    }
}

/// What everything here is called with once.
pub fn admin() -> Principal {
    Principal { kind: TokenKind::Personal, token: "t".into(), origin: None, name: "laptop".into(), user: "admin".into() }
}
