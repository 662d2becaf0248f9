//! Nodes, as this server last saw them, and what people use them for.

use std::borrow::Cow;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use dinp_common::api::{DrainView, NodeDetail, NodeView, Page, WatchEvent};
use dinp_common::name::NodeName;
use dinp_common::node::{Node, NodeStatus, NodeUse};
use dinp_common::problem::Problem;
use dinp_common::rehearsal::DrainPlan;

use super::AppState;
use super::extract::{Asked, Named};
use super::nearest::nearest;
use super::page::whole;
use super::problem::{ApiError, ApiResult};
use super::rehearsal::{self, DryRunQuery};
use crate::auth::Principal;
use crate::cluster::{SeenNode, Snapshot};
use crate::explain;

#[derive(Debug, serde::Deserialize)]
pub struct NodePath {
    node: NodeName,
}

/// All nodes, by name.
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes", operation_id = "node_list",
    responses((status = 200, body = Page<NodeView>), (status = "default", body = Problem)))]
pub async fn node_list(State(state): State<AppState>) -> Json<Page<NodeView>> {
    let snapshot = state.cluster.snapshot();
    Json(whole(snapshot.desired.nodes.iter().map(|node| view(&snapshot, node)).collect()))
}

/// One node, with what stands on it.
#[utoipa::path(get, path = "/v1/nodes/{node}", tag = "nodes", operation_id = "node_get",
    params(("node" = String, Path, description = "the node's name")),
    responses((status = 200, body = NodeDetail), (status = "default", body = Problem)))]
pub async fn node_get(State(state): State<AppState>, Named(path): Named<NodePath>) -> ApiResult<Json<NodeDetail>> {
    let node = known(&state, &path.node).await?;
    let snapshot = state.cluster.snapshot();
    Ok(Json(explain::node_detail(&snapshot, &node, &seen(&snapshot, &node))))
}

/// Places nothing new on a node. What runs there stays; a drain of it ends.
#[utoipa::path(post, path = "/v1/nodes/{node}/cordon", tag = "nodes", operation_id = "node_cordon",
    params(("node" = String, Path, description = "the node's name")),
    responses((status = 200, body = NodeView), (status = "default", body = Problem)))]
pub async fn node_cordon(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    Named(path): Named<NodePath>,
) -> ApiResult<Json<NodeView>> {
    let node = change(&state, &path.node, NodeUse::Cordoned, &by).await?;
    Ok(Json(view(&state.cluster.snapshot(), &node)))
}

/// Lets new instances on a node again, and cancels its drain. What has moved away stays where it is.
#[utoipa::path(post, path = "/v1/nodes/{node}/uncordon", tag = "nodes", operation_id = "node_uncordon",
    params(("node" = String, Path, description = "the node's name")),
    responses((status = 200, body = NodeView), (status = "default", body = Problem)))]
pub async fn node_uncordon(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    Named(path): Named<NodePath>,
) -> ApiResult<Json<NodeView>> {
    let node = change(&state, &path.node, NodeUse::Open, &by).await?;
    Ok(Json(view(&state.cluster.snapshot(), &node)))
}

/// Moves everything off a node, start-first and some of each app at a time. Follow it at the same path.
#[utoipa::path(post, path = "/v1/nodes/{node}/drain", tag = "nodes", operation_id = "drain_create",
    params(("node" = String, Path, description = "the node's name"), DryRunQuery),
    responses((status = 202, body = DrainView), (status = 200, body = DrainPlan, description = "with dry_run"),
              (status = "default", body = Problem)))]
pub async fn drain_create(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    Named(path): Named<NodePath>,
    Asked(query): Asked<DryRunQuery>,
) -> ApiResult<Response> {
    if query.dry_run {
        known(&state, &path.node).await?;
        return Ok(Json(rehearsal::rehearse_drain(&state, path.node).await?).into_response());
    }
    let node = change(&state, &path.node, NodeUse::Draining, &by).await?;
    let view = explain::drain_view(&state.cluster.snapshot(), &node);
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    let location = HeaderValue::from_str(&format!("/v1/nodes/{}/drain", node.name)).ok();
    response.headers_mut().extend(location.map(|location| (header::LOCATION, location)));
    Ok(response)
}

/// How far the drain of a node is, and what holds it back.
#[utoipa::path(get, path = "/v1/nodes/{node}/drain", tag = "nodes", operation_id = "drain_get",
    params(("node" = String, Path, description = "the node's name")),
    responses((status = 200, body = DrainView), (status = "default", body = Problem)))]
pub async fn drain_get(State(state): State<AppState>, Named(path): Named<NodePath>) -> ApiResult<Json<DrainView>> {
    let node = known(&state, &path.node).await?;
    Ok(Json(explain::drain_view(&state.cluster.snapshot(), &node)))
}

/// Stores what the node is used for and sets everything going that follows.
async fn change(state: &AppState, name: &NodeName, wanted: NodeUse, by: &Principal) -> ApiResult<Node> {
    known(state, name).await?;
    let node = state.store.node_use(name, wanted, &by.user).await?;
    state.cluster.announce(WatchEvent::Lists);
    state.cluster.nudge();
    Ok(node)
}

/// The node, or a 404 that names its likes.
async fn known(state: &AppState, name: &NodeName) -> ApiResult<Node> {
    if let Some(node) = state.store.node_get(name).await? {
        return Ok(node);
    }
    let snapshot = state.cluster.snapshot();
    let like = nearest(name.as_str(), snapshot.desired.nodes.iter().map(|node| node.name.as_str()));
    let suggestion =
        if like.is_empty() { "dinp nodes lists them".to_owned() } else { format!("did you mean {}?", like.join(" or ")) };
    Err(ApiError::not_found("node_not_found", format!("there is no node named {name}")).suggest(suggestion))
}

fn view(snapshot: &Snapshot, node: &Node) -> NodeView {
    explain::node_view(snapshot, node, &seen(snapshot, node))
}

/// A node that has just joined may be in no plan yet.
fn seen<'s>(snapshot: &'s Snapshot, node: &Node) -> Cow<'s, SeenNode> {
    let unseen = || SeenNode {
        status: NodeStatus::Suspect,
        reason: "its agent has not reported to this server yet".to_owned(),
        facts: None,
        orphans: Vec::new(),
    };
    snapshot.nodes.get(&node.name).map_or_else(|| Cow::Owned(unseen()), Cow::Borrowed)
}
