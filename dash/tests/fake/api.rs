//! The fake's routes.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event as Sent, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use dinp_common::api::{
    BuildLine, BuildView, DeployView, Page, RollbackRequest, ScaleRequest, SessionCreated, SessionRequest, VersionView,
    WatchEvent, Whoami,
};
use dinp_common::build::{BuildId, BuildState};
use dinp_common::deploy::{DeployKind, DeployNo};
use dinp_common::instance::InstanceId;
use dinp_common::name::AppName;
use dinp_common::problem::{PROBLEM_JSON, Problem};
use dinp_common::token::TokenKind;
use dinp_common::wire::LogLine;
use futures_util::{StreamExt, stream};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::World;

type Answer<T> = Result<T, Refused>;

pub struct Refused(Box<Problem>);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).expect("a status");
        let mut response = (status, Json(self.0)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON.parse().expect("a media type"));
        response
    }
}

pub fn router(world: World) -> Router {
    Router::new()
        .route("/v1/whoami", get(whoami))
        .route("/v1/sessions/current", axum::routing::delete(session_end))
        .route("/v1/apps", get(apps))
        .route("/v1/apps/{app}", get(app).delete(delete))
        .route("/v1/apps/{app}/artifact", put(artifact))
        .route("/v1/apps/{app}/deploys", get(deploys))
        .route("/v1/apps/{app}/deploys/{number}", get(deploy))
        .route("/v1/apps/{app}/scale", post(scale))
        .route("/v1/apps/{app}/restart", post(restart))
        .route("/v1/apps/{app}/rollback", post(rollback))
        .route("/v1/apps/{app}/stop", post(stop))
        .route("/v1/apps/{app}/start", post(start))
        .route("/v1/apps/{app}/releases", get(releases))
        .route("/v1/apps/{app}/logs", get(logs))
        .route("/v1/builds/{build}/log", get(build_log))
        .route("/v1/events", get(events))
        .route("/v1/watch", get(watch))
        .layer(from_fn_with_state(world.clone(), authorize))
        .route("/v1/sessions", post(session))
        .route("/version", get(version))
        .with_state(world)
}

async fn authorize(State(world): State<World>, request: Request, next: Next) -> Response {
    let known = bearer(request.headers()).is_some_and(|token| world.lock().tokens.iter().any(|own| own == token));
    if known {
        next.run(request).await
    } else {
        Refused::from(Problem::new(401, "not_signed_in", "No valid token.")).into_response()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

async fn version() -> Json<VersionView> {
    Json(VersionView { version: "0.1.0".into(), cluster: "fake".into(), domain: "localhost".into(), port: 8080 })
}

async fn session(State(world): State<World>, Json(request): Json<SessionRequest>) -> Answer<Json<SessionCreated>> {
    let found = world.lock().tokens.iter().position(|token| *token == request.token);
    let Some(found) = found else {
        return Err(Problem::new(401, "unknown_token", "This token is not known, or was used already.").into());
    };
    if request.token.starts_with(TokenKind::Link.prefix()) {
        world.lock().tokens.remove(found);
    }
    let seed = u8::try_from(world.lock().tokens.len()).expect("a few sessions");
    let token = world.token(TokenKind::Session, 100 + seed);
    Ok(Json(SessionCreated { token, user: "admin".into(), expires_in: 3600 }))
}

async fn session_end(State(world): State<World>, headers: HeaderMap) -> StatusCode {
    let caller = bearer(&headers).map(str::to_owned);
    world.lock().tokens.retain(|token| Some(token) != caller.as_ref());
    StatusCode::NO_CONTENT
}

async fn whoami() -> Json<Whoami> {
    Json(Whoami { user: "admin".into(), team: "default".into(), token: "test".into() })
}

fn page<T>(items: Vec<T>) -> Json<Page<T>> {
    Json(Page { items, next_cursor: None })
}

#[derive(Deserialize)]
struct List {
    q: Option<String>,
}

async fn apps(State(world): State<World>, Query(list): Query<List>) -> impl IntoResponse {
    let q = list.q.unwrap_or_default();
    page(world.lock().apps.values().map(|app| app.detail.app.clone()).filter(|app| app.name.as_str().contains(&q)).collect())
}

fn no_app(app: &AppName) -> Refused {
    Problem::new(404, "app_not_found", format!("There is no app named {app}.")).into()
}

async fn app(State(world): State<World>, Path(app): Path<AppName>) -> Answer<Response> {
    let state = world.lock();
    let own = state.apps.get(&app).ok_or_else(|| no_app(&app))?;
    Ok(Json(own.detail.clone()).into_response())
}

async fn deploys(State(world): State<World>, Path(app): Path<AppName>) -> Answer<Json<Page<DeployView>>> {
    Ok(page(world.lock().apps.get(&app).ok_or_else(|| no_app(&app))?.deploys.clone()))
}

async fn deploy(State(world): State<World>, Path((app, number)): Path<(AppName, DeployNo)>) -> Answer<Json<DeployView>> {
    let state = world.lock();
    let own = state.apps.get(&app).ok_or_else(|| no_app(&app))?;
    let found = own.deploys.iter().find(|deploy| deploy.number == number).cloned();
    found.map(Json).ok_or_else(|| Problem::new(404, "deploy_not_found", format!("{app} has no deploy {number}.")).into())
}

async fn releases(State(world): State<World>, Path(app): Path<AppName>) -> Answer<Response> {
    Ok(page(world.lock().apps.get(&app).ok_or_else(|| no_app(&app))?.releases.clone()).into_response())
}

fn accepted(deploy: DeployView) -> Response {
    (StatusCode::ACCEPTED, Json(deploy)).into_response()
}

#[derive(Deserialize)]
struct Upload {
    file_name: String,
}

async fn artifact(
    State(world): State<World>,
    Path(app): Path<AppName>,
    Query(upload): Query<Upload>,
    body: Body,
) -> Answer<Response> {
    let mut bytes = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        bytes += chunk.map_err(|_| Problem::new(400, "truncated", "The upload ended early."))?.len() as u64;
    }
    if bytes == 0 {
        return Err(Problem::new(422, "empty_artifact", "The file is empty.").suggest("Send the file your build wrote.").into());
    }
    let number = world.lock().apps.get(&app).map_or(0, |own| own.deploys.len()) as u32 + 1;
    let build = BuildView {
        id: BuildId(number + 100),
        app: app.clone(),
        state: BuildState::Queued,
        file_name: upload.file_name.clone(),
        artifact_bytes: bytes,
        kind: None,
        image: None,
        dockerfile: None,
        why: None,
        fix: None,
        created_at: String::new(),
    };
    let begun = world.begin(&app, DeployKind::Release, &format!("deploy of {}", upload.file_name), Some(build));
    tokio::spawn(world.build_and_roll_out(app, begun.number, upload.file_name));
    Ok(accepted(begun))
}

async fn scale(State(world): State<World>, Path(app): Path<AppName>, Json(ask): Json<ScaleRequest>) -> Answer<Response> {
    let count = ask.instances.ok_or_else(|| Problem::new(422, "nothing_to_do", "Say how many."))?;
    if count > 40 {
        return Err(Problem::new(422, "no_room", format!("{count} × 256MiB do not fit: the node has 10GiB."))
            .suggest("Ask for at most 40.")
            .into());
    }
    let begun = world.begin(&app, DeployKind::Scale, &format!("scale to {count}"), None);
    tokio::spawn(world.roll_out(app, begun.number, count));
    Ok(accepted(begun))
}

fn current(world: &World, app: &AppName) -> Answer<u32> {
    Ok(world.lock().apps.get(app).ok_or_else(|| no_app(app))?.detail.app.instances_when_started)
}

async fn restart(State(world): State<World>, Path(app): Path<AppName>) -> Answer<Response> {
    let count = current(&world, &app)?;
    let begun = world.begin(&app, DeployKind::Restart, "restart", None);
    tokio::spawn(world.roll_out(app, begun.number, count));
    Ok(accepted(begun))
}

async fn rollback(State(world): State<World>, Path(app): Path<AppName>, Json(ask): Json<RollbackRequest>) -> Answer<Response> {
    let to = ask.to.ok_or_else(|| Problem::new(422, "no_release", "Say which."))?;
    let count = current(&world, &app)?;
    let begun = world.begin(&app, DeployKind::Rollback, &format!("rollback to {to}"), None);
    tokio::spawn(world.roll_out(app, begun.number, count));
    Ok(accepted(begun))
}

async fn stop(State(world): State<World>, Path(app): Path<AppName>) -> Answer<Response> {
    current(&world, &app)?;
    let begun = world.begin(&app, DeployKind::Stop, "stop", None);
    tokio::spawn(world.wind_down(app, begun.number, false));
    Ok(accepted(begun))
}

async fn start(State(world): State<World>, Path(app): Path<AppName>) -> Answer<Response> {
    let count = current(&world, &app)?;
    world.lock().apps.get_mut(&app).ok_or_else(|| no_app(&app))?.detail.app.stopped = false;
    let begun = world.begin(&app, DeployKind::Start, "start", None);
    tokio::spawn(world.roll_out(app, begun.number, count));
    Ok(accepted(begun))
}

async fn delete(State(world): State<World>, Path(app): Path<AppName>) -> Answer<Response> {
    current(&world, &app)?;
    let begun = world.begin(&app, DeployKind::Delete, "delete", None);
    tokio::spawn(world.wind_down(app, begun.number, true));
    Ok(accepted(begun))
}

#[derive(Deserialize)]
struct EventAsk {
    app: Option<String>,
    limit: Option<usize>,
    before: Option<u64>,
}

async fn events(State(world): State<World>, Query(ask): Query<EventAsk>) -> impl IntoResponse {
    let state = world.lock();
    let wanted = state.events.iter().rev().filter(|event| ask.app.is_none() || event.app == ask.app);
    let older = wanted.filter(|event| ask.before.is_none_or(|before| event.id < before));
    page(older.take(ask.limit.unwrap_or(50)).cloned().collect())
}

fn ndjson<T: Serialize>(lines: impl futures_util::Stream<Item = T> + Send + 'static) -> Response {
    let text = lines.map(|line| Ok::<_, Infallible>(serde_json::to_string(&line).expect("JSON") + "\n"));
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(text)).into_response()
}

#[derive(Deserialize)]
struct LogAsk {
    instance: Option<InstanceId>,
}

/// Every instance says something now and then.
async fn logs(State(world): State<World>, Path(app): Path<AppName>, Query(ask): Query<LogAsk>) -> Answer<Response> {
    let ids: Vec<InstanceId> = {
        let state = world.lock();
        let own = state.apps.get(&app).ok_or_else(|| no_app(&app))?;
        own.detail
            .instances
            .iter()
            .map(|each| each.id.clone())
            .filter(|id| ask.instance.as_ref().is_none_or(|one| one == id))
            .collect()
    };
    Ok(ndjson(stream::unfold(0_usize, move |n| {
        let id = (!ids.is_empty()).then(|| ids[n % ids.len()].clone());
        async move {
            if n >= 60 {
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
            let text = if n % 17 == 16 {
                format!("WARN slow answer: {} ms", 300 + n)
            } else {
                format!("GET /cart 200 {} ms", 3 + n % 9)
            };
            let at = jiff::Timestamp::now().to_string();
            Some((LogLine { at, instance: id?, stderr: n % 17 == 16, text }, n + 1))
        }
    })))
}

async fn build_log(State(world): State<World>, Path(build): Path<BuildId>) -> Response {
    let all = stream::unfold((world, 0_usize), move |(world, n)| async move {
        loop {
            let line = world.lock().builds.get(&build.0).and_then(|lines| lines.get(n).cloned());
            if let Some(text) = line {
                return Some((BuildLine { n: n as u64, at: "2026-01-01T12:00:03Z".into(), text }, (world, n + 1)));
            }
            if n >= 4 {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    ndjson(all)
}

async fn watch(State(world): State<World>) -> impl IntoResponse {
    let changes = tokio_stream::wrappers::BroadcastStream::new(world.changes.subscribe());
    Sse::new(changes.map(|change| {
        let change = change.unwrap_or(WatchEvent::Resync);
        Ok::<_, Infallible>(Sent::default().data(serde_json::to_string(&change).expect("JSON")))
    }))
}
