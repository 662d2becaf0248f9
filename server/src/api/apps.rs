//! Apps and what belongs to them.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::{Extension, response::IntoResponse};
use dinp_common::api::{AppDetail, AppView, DeployView, InstanceView, Page, WhyView};
use dinp_common::app::App as AppRecord;
use dinp_common::deploy::DeployKind;
use dinp_common::limits;
use dinp_common::name::AppName;
use dinp_common::problem::Problem;
use dinp_common::release::Release;
use dinp_store::Intent;

use super::changes::{self, begin};
use super::extract::{App, Asked, Terms};
use super::page::{PageQuery, page, whole};
use super::problem::{ApiError, ApiResult};
use super::{AppState, deploys};
use crate::api::nearest::nearest;
use crate::auth::Principal;
use crate::cluster::Snapshot;
use crate::explain;

/// Events that `why` tells.
const WHY_EVENTS: u32 = 10;

/// All apps, by name.
#[utoipa::path(get, path = "/v1/apps", tag = "apps", operation_id = "app_list", params(PageQuery),
    responses((status = 200, body = Page<AppView>), (status = "default", body = Problem)))]
pub async fn app_list(State(state): State<AppState>, Asked(query): Asked<PageQuery>) -> ApiResult<Json<Page<AppView>>> {
    let limit = query.limit()?;
    let after = query.cursor::<AppName>()?;
    let read = state.store.app_list(after.as_ref(), limit + 1, query.q.as_deref()).await?;
    let apps = page(read, limit, |app| app.name.to_string());
    let snapshot = state.cluster.snapshot();
    let mut items = Vec::with_capacity(apps.items.len());
    for app in &apps.items {
        items.push(view(&state, &snapshot, app).await?);
    }
    Ok(Json(Page { items, next_cursor: apps.next_cursor }))
}

/// One app, with its instances. The ETag is its revision, for `If-Match`.
#[utoipa::path(get, path = "/v1/apps/{app}", tag = "apps", operation_id = "app_get",
    params(("app" = String, Path, description = "the app's name")),
    responses((status = 200, body = AppDetail), (status = "default", body = Problem)))]
pub async fn app_get(State(state): State<AppState>, App(name): App) -> ApiResult<(HeaderMap, Json<AppDetail>)> {
    let app = known(&state, &name).await?;
    let snapshot = state.cluster.snapshot();
    let live = live(&state, &snapshot, &app).await?;
    let last = deploys::latest(&state, &snapshot, &app).await?;
    let detail = explain::app_detail(&snapshot, &app, live.as_ref(), last, state.url(&name));
    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::from_str(&format!("\"r{}\"", app.revision)).ok().map(|etag| (header::ETAG, etag)));
    Ok((headers, Json(detail)))
}

/// Deletes an app with its containers, releases and deploys. Its events stay.
#[utoipa::path(delete, path = "/v1/apps/{app}", tag = "apps", operation_id = "app_delete",
    params(("app" = String, Path, description = "the app's name")),
    responses((status = 202, body = DeployView), (status = "default", body = Problem)))]
pub async fn app_delete(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    terms: Terms,
    App(name): App,
) -> ApiResult<Response> {
    known(&state, &name).await?;
    let intent = Intent { deleted: true, ..changes::intent(&name, DeployKind::Delete, "delete".to_owned(), &by, terms) };
    Ok(begin(&state, intent).await?.into_response())
}

/// The app's instances, by index.
#[utoipa::path(get, path = "/v1/apps/{app}/instances", tag = "apps", operation_id = "app_instances",
    params(("app" = String, Path, description = "the app's name")),
    responses((status = 200, body = Page<InstanceView>), (status = "default", body = Problem)))]
pub async fn app_instances(State(state): State<AppState>, App(name): App) -> ApiResult<Json<Page<InstanceView>>> {
    known(&state, &name).await?;
    let snapshot = state.cluster.snapshot();
    let found = explain::instances_of(&snapshot, &name);
    Ok(Json(whole(found.into_iter().map(|instance| explain::instance_view(&snapshot, instance)).collect())))
}

/// What is wanted, what is held back and why.
#[utoipa::path(get, path = "/v1/apps/{app}/why", tag = "apps", operation_id = "app_why",
    params(("app" = String, Path, description = "the app's name")),
    responses((status = 200, body = WhyView), (status = "default", body = Problem)))]
pub async fn app_why(State(state): State<AppState>, App(name): App) -> ApiResult<Json<WhyView>> {
    let app = known(&state, &name).await?;
    let snapshot = state.cluster.snapshot();
    let view = view(&state, &snapshot, &app).await?;
    let events = state.store.event_list(Some(&name), None, None, WHY_EVENTS).await?;
    Ok(Json(explain::why_view(&snapshot, &app, &view, events)))
}

async fn view(state: &AppState, snapshot: &Snapshot, app: &AppRecord) -> ApiResult<AppView> {
    let live = live(state, snapshot, app).await?;
    let last = deploys::latest(state, snapshot, app).await?;
    Ok(explain::app_view(snapshot, app, live.as_ref(), last, state.url(&app.name)))
}

/// The release that serves. It never changes, so the last plan's copy is as good as the store's.
pub async fn live(state: &AppState, snapshot: &Snapshot, app: &AppRecord) -> ApiResult<Option<Release>> {
    let Some(live) = app.live else { return Ok(None) };
    match snapshot.desired.releases.get(&(app.name.clone(), live)) {
        Some(release) => Ok(Some(release.clone())),
        None => Ok(state.store.release_get(&app.name, live).await?),
    }
}

/// The app, or a 404 that names its likes.
pub async fn known(state: &AppState, name: &AppName) -> ApiResult<AppRecord> {
    match state.store.app_get(name).await? {
        Some(app) => Ok(app),
        None => Err(unknown(state, name).await?),
    }
}

async fn unknown(state: &AppState, name: &AppName) -> ApiResult<ApiError> {
    let apps = state.store.app_list(None, limits::PAGE_ITEMS, None).await?;
    let like = nearest(name.as_str(), apps.iter().map(|app| app.name.as_str()));
    let suggestion = match (like.is_empty(), apps.is_empty()) {
        (false, _) => format!("did you mean {}?", like.join(" or ")),
        (true, false) => "dinp apps lists them".to_owned(),
        (true, true) => "there is no app yet; dinp deploy PATH makes one".to_owned(),
    };
    Ok(ApiError::not_found("app_not_found", format!("there is no app named {name}")).suggest(suggestion))
}
