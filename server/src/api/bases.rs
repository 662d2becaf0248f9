//! Base images, as a builder last saw them. Only builders look into Docker.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dinp_common::api::{BaseView, Page};
use dinp_common::kind::Base;
use dinp_common::problem::Problem;

use super::AppState;
use super::extract::Body;
use super::page::whole;

/// The base images that artifacts are assembled on.
#[utoipa::path(get, path = "/v1/bases", tag = "builds", operation_id = "base_list",
    responses((status = 200, body = Page<BaseView>), (status = "default", body = Problem)))]
pub async fn base_list(State(state): State<AppState>) -> Json<Page<BaseView>> {
    let unknown = |name| BaseView { name, image: None, ready: false, reason: "no builder has reported yet".to_owned() };
    Json(whole(match state.bases.load_full() {
        Some(bases) => bases.as_ref().clone(),
        None => Base::ALL.into_iter().map(unknown).collect(),
    }))
}

/// What a builder has: it says so whenever it asks for work.
#[utoipa::path(put, path = "/v1/builder/bases", tag = "builder", operation_id = "builder_bases", request_body = Vec<BaseView>,
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn bases_report(State(state): State<AppState>, Body(bases): Body<Vec<BaseView>>) -> StatusCode {
    state.bases.store(Some(bases.into()));
    StatusCode::NO_CONTENT
}
