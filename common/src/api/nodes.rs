//! Nodes, and what moves between them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::InstanceView;
use crate::instance::InstanceId;
use crate::name::{AppName, NodeName};
use crate::node::{Capacity, NodeStatus};
use crate::size::MiB;
use crate::wire::Orphan;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    #[schema(value_type = String)]
    pub name: NodeName,
    pub status: NodeStatus,
    pub reason: String,
    /// Nothing new is placed on it; and what runs there moves away.
    #[serde(default)]
    pub cordoned: bool,
    #[serde(default)]
    pub draining: bool,
    pub zone: String,
    pub labels: BTreeMap<String, String>,
    pub capacity: Option<Capacity>,
    pub memory_reserved: MiB,
    pub instances: u32,
    /// Docker's version; `None` with the reason in `reason` where it does not answer.
    pub docker: Option<String>,
    pub version: Option<String>,
    pub disk_free: u64,
    pub disk_total: u64,
    pub orphans: Vec<Orphan>,
}

/// A node with what stands on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeDetail {
    #[serde(flatten)]
    pub node: NodeView,
    pub instances_here: Vec<InstanceView>,
}

/// `GET /v1/nodes/{node}/drain`: how far it is, and what holds it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainView {
    #[schema(value_type = String)]
    pub node: NodeName,
    pub state: DrainState,
    /// One sentence: where it stands.
    pub step: String,
    /// What is still on the node.
    pub instances: Vec<InstanceView>,
    /// What is held back of the apps that are still there, in sentences.
    pub holds: Vec<String>,
    /// Nothing moves any more, since no other node can take what is left, and why; null while something moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<String>,
}

/// Where the drain of a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrainState {
    /// Nobody asked for it, or it was cancelled.
    None,
    Draining,
    /// Nothing is left: the node is safe to switch off.
    Drained,
}

/// `GET /v1/rebalance`: how far the last one is, or how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RebalanceView {
    pub state: RebalanceState,
    /// Who asked for it; `dinp` where it began by itself, null if there never was one.
    pub by: Option<String>,
    /// Whether it began with this request; false where one was going on already.
    pub begun: bool,
    /// Instances that have moved.
    pub moved: u32,
    /// Those on their way.
    pub moves: Vec<MoveView>,
    /// One sentence: where it stands, or why it ended.
    pub step: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RebalanceState {
    /// Nobody ever asked for one.
    None,
    Running,
    Ended,
    Cancelled,
}

/// One instance on its way to another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MoveView {
    #[schema(value_type = String)]
    pub instance: InstanceId,
    #[schema(value_type = String)]
    pub app: AppName,
    /// Where it still serves.
    #[schema(value_type = Option<String>)]
    pub from: Option<NodeName>,
    #[schema(value_type = String)]
    pub to: NodeName,
}
