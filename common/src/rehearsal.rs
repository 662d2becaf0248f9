//! `?dry_run=true`: what would follow, without anything being changed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::deploy::{DeployKind, DeployState, Failure, Strategy};
use crate::instance::InstanceId;
use crate::name::{AppName, NodeName};
use crate::release::ReleaseNo;

/// The plan that would follow, if every new instance becomes healthy and every router confirms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanView {
    #[schema(value_type = String)]
    pub app: AppName,
    pub kind: DeployKind,
    pub strategy: Strategy,
    /// Instances beyond those wanted, and missing of them, at once.
    #[serde(default)]
    pub surge: u32,
    #[serde(default)]
    pub unavailable: u32,
    /// What it is, for people: `scale to 3 instances`.
    pub note: String,
    pub from: Option<ReleaseNo>,
    pub to: Option<ReleaseNo>,
    /// The image has to be built first; the steps are those after its build.
    pub after_build: bool,
    /// In the order they would be taken.
    pub steps: Vec<PlanStep>,
    /// Every node, by name.
    pub nodes: Vec<PlanNode>,
    /// Nodes that can take no more of it just now, and why; null if every node can.
    pub filtered: Option<String>,
    /// How the deploy would end; null where that is further ahead than a dry run looks.
    pub outcome: Option<DeployState>,
    pub failure: Option<Failure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanStep {
    pub action: PlanAction,
    /// The id it has; one that would be started has this id if nothing else is started before.
    #[schema(value_type = String)]
    pub instance: InstanceId,
    /// 0 to N-1 among the app's instances.
    pub index: u32,
    pub release: ReleaseNo,
    #[schema(value_type = String)]
    pub node: NodeName,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanAction {
    Start,
    /// It leaves the routes and finishes what it has in flight.
    Withdraw,
    Stop,
}

impl PlanAction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Withdraw => "withdraw",
            Self::Stop => "stop",
        }
    }
}

/// `POST /v1/nodes/{node}/drain?dry_run=true`: what would move, and what would stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainPlan {
    #[schema(value_type = String)]
    pub node: NodeName,
    /// In the order they would be taken, of every app that has something there.
    pub steps: Vec<DrainStep>,
    /// Every node, by name, with instances of all apps.
    pub nodes: Vec<PlanNode>,
    /// What would stay on the node until something changes.
    pub left: Vec<DrainLeft>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainStep {
    #[schema(value_type = String)]
    pub app: AppName,
    #[serde(flatten)]
    pub step: PlanStep,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrainLeft {
    #[schema(value_type = String)]
    pub instance: InstanceId,
    #[schema(value_type = String)]
    pub app: AppName,
    pub why: String,
}

/// `POST /v1/rebalance?dry_run=true`: what would move, and why it would end there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RebalancePlan {
    /// In their order.
    pub moves: Vec<RebalanceMove>,
    /// Every node, by name, with instances of all apps.
    pub nodes: Vec<PlanNode>,
    /// Why no more would move; null where that is further ahead than a dry run looks.
    pub ended: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RebalanceMove {
    #[schema(value_type = String)]
    pub instance: InstanceId,
    #[schema(value_type = String)]
    pub app: AppName,
    #[schema(value_type = String)]
    pub from: NodeName,
    #[schema(value_type = String)]
    pub to: NodeName,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanNode {
    #[schema(value_type = String)]
    pub name: NodeName,
    /// Instances of the app that are to run there, before and after.
    pub now: u32,
    pub then: u32,
}
