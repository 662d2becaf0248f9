//! The balance of the nodes: instances move from crowded ones to emptier ones when people ask for it.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use dinp_common::api::{RebalanceView, WatchEvent};
use dinp_common::problem::Problem;
use dinp_common::rehearsal::RebalancePlan;

use super::AppState;
use super::extract::Asked;
use super::problem::{ApiError, ApiResult};
use super::rehearsal::{self, DryRunQuery};
use crate::auth::Principal;
use crate::explain;

/// Moves instances from crowded nodes to emptier ones, start-first and few at a time, until no move improves the balance
/// any more. Where one goes on already, that one is answered. Follow it at the same path.
#[utoipa::path(post, path = "/v1/rebalance", tag = "nodes", operation_id = "rebalance_create", params(DryRunQuery),
    responses((status = 202, body = RebalanceView), (status = 200, body = RebalancePlan, description = "with dry_run"),
              (status = "default", body = Problem)))]
pub async fn rebalance_create(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    Asked(query): Asked<DryRunQuery>,
) -> ApiResult<Response> {
    if query.dry_run {
        return Ok(Json(rehearsal::rehearse_rebalance(&state, by.user).await?).into_response());
    }
    let (running, begun) = state.store.rebalance_begin(&by.user).await?;
    announce(&state);
    let view = RebalanceView { begun, ..explain::rebalance_view(&state.cluster.snapshot(), Some(&running)) };
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/v1/rebalance"));
    Ok(response)
}

/// How far the last rebalance is, or how it ended.
#[utoipa::path(get, path = "/v1/rebalance", tag = "nodes", operation_id = "rebalance_get",
    responses((status = 200, body = RebalanceView), (status = "default", body = Problem)))]
pub async fn rebalance_get(State(state): State<AppState>) -> ApiResult<Json<RebalanceView>> {
    let last = state.store.rebalance_last().await?;
    Ok(Json(explain::rebalance_view(&state.cluster.snapshot(), last.as_ref())))
}

/// Ends the rebalance that goes on. What has moved stays where it is now; what is on its way stays where it was.
#[utoipa::path(post, path = "/v1/rebalance/cancel", tag = "nodes", operation_id = "rebalance_cancel",
    responses((status = 200, body = RebalanceView), (status = "default", body = Problem)))]
pub async fn rebalance_cancel(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
) -> ApiResult<Json<RebalanceView>> {
    let Some(cancelled) = state.store.rebalance_cancel(&by.user).await? else {
        let refused = ApiError::conflict("rebalance_not_running", "no rebalance goes on".to_owned());
        return Err(refused.suggest("dinp events says how the last one ended"));
    };
    announce(&state);
    Ok(Json(explain::rebalance_view(&state.cluster.snapshot(), Some(&cancelled))))
}

fn announce(state: &AppState) {
    state.cluster.announce(WatchEvent::Lists);
    state.cluster.nudge();
}
