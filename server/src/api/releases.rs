//! Releases.

use axum::Json;
use axum::extract::State;
use dinp_common::api::{Page, ReleaseView};
use dinp_common::problem::Problem;
use dinp_common::release::ReleaseNo;

use super::extract::{App, Asked};
use super::page::{PageQuery, page};
use super::problem::ApiResult;
use super::{AppState, apps};
use crate::explain;

/// The app's releases, newest first.
#[utoipa::path(get, path = "/v1/apps/{app}/releases", tag = "apps", operation_id = "release_list",
    params(("app" = String, Path, description = "the app's name"), PageQuery),
    responses((status = 200, body = Page<ReleaseView>), (status = "default", body = Problem)))]
pub async fn release_list(
    State(state): State<AppState>,
    App(name): App,
    Asked(query): Asked<PageQuery>,
) -> ApiResult<Json<Page<ReleaseView>>> {
    let app = apps::known(&state, &name).await?;
    let (limit, before) = (query.limit()?, query.cursor::<u32>()?.map(ReleaseNo));
    let read = state.store.release_list(&name, before, limit + 1).await?;
    let releases = page(read, limit, |release| release.number.0.to_string());
    let snapshot = state.cluster.snapshot();
    let items = releases.items.iter().map(|release| explain::release_view(&snapshot, release, app.live)).collect();
    Ok(Json(Page { items, next_cursor: releases.next_cursor }))
}
