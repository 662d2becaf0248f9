//! Nodes, as this server last saw them.

use axum::Json;
use axum::extract::State;
use dinp_common::api::{NodeView, Page};
use dinp_common::problem::Problem;

use super::AppState;
use super::page::whole;
use crate::explain;

/// All nodes, by name.
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes", operation_id = "node_list",
    responses((status = 200, body = Page<NodeView>), (status = "default", body = Problem)))]
pub async fn node_list(State(state): State<AppState>) -> Json<Page<NodeView>> {
    let snapshot = state.cluster.snapshot();
    Json(whole(snapshot.nodes.iter().map(|(name, seen)| explain::node_view(&snapshot, name, seen)).collect()))
}
