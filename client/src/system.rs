//! The platform itself: its version, nodes, events, bases, and what changes.

use dinp_common::api::{BaseView, DrainView, NodeDetail, NodeView, Page, RebalanceView, VersionView, WatchEvent};
use dinp_common::event::Event;
use dinp_common::name::NodeName;
use dinp_common::rehearsal::{DrainPlan, RebalancePlan};

use crate::call::Client;
use crate::error::ClientError;
use crate::query::EventQuery;
use crate::stream::Items;

impl Client {
    /// Needs no credentials.
    pub async fn version(&self) -> Result<VersionView, ClientError> {
        self.get("/version").await
    }

    pub async fn nodes(&self) -> Result<Page<NodeView>, ClientError> {
        self.get("/v1/nodes").await
    }

    pub async fn node(&self, node: &NodeName) -> Result<NodeDetail, ClientError> {
        self.get(&format!("/v1/nodes/{node}")).await
    }

    /// Places nothing new on a node; what runs there stays.
    pub async fn node_cordon(&self, node: &NodeName) -> Result<NodeView, ClientError> {
        self.post_empty(&format!("/v1/nodes/{node}/cordon")).await
    }

    /// Lets new instances on a node again, and cancels its drain.
    pub async fn node_uncordon(&self, node: &NodeName) -> Result<NodeView, ClientError> {
        self.post_empty(&format!("/v1/nodes/{node}/uncordon")).await
    }

    /// Begins to move everything off a node.
    pub async fn drain_create(&self, node: &NodeName) -> Result<DrainView, ClientError> {
        self.post_empty(&format!("/v1/nodes/{node}/drain")).await
    }

    /// What a drain would move, without anything being changed.
    pub async fn drain_plan(&self, node: &NodeName) -> Result<DrainPlan, ClientError> {
        self.post_empty(&format!("/v1/nodes/{node}/drain?dry_run=true")).await
    }

    pub async fn drain(&self, node: &NodeName) -> Result<DrainView, ClientError> {
        self.get(&format!("/v1/nodes/{node}/drain")).await
    }

    /// Begins to move instances from crowded nodes to emptier ones, unless that goes on already.
    pub async fn rebalance_create(&self) -> Result<RebalanceView, ClientError> {
        self.post_empty("/v1/rebalance").await
    }

    /// What a rebalance would move, without anything being changed.
    pub async fn rebalance_plan(&self) -> Result<RebalancePlan, ClientError> {
        self.post_empty("/v1/rebalance?dry_run=true").await
    }

    /// How far the last one is, or how it ended.
    pub async fn rebalance(&self) -> Result<RebalanceView, ClientError> {
        self.get("/v1/rebalance").await
    }

    pub async fn rebalance_cancel(&self) -> Result<RebalanceView, ClientError> {
        self.post_empty("/v1/rebalance/cancel").await
    }

    /// Past events, newest first.
    pub async fn events(&self, query: &EventQuery) -> Result<Page<Event>, ClientError> {
        self.get(&query.path(false)).await
    }

    /// New events, oldest first, from `query.after` or from now.
    pub async fn events_follow(&self, query: &EventQuery) -> Result<Items<Event>, ClientError> {
        self.ndjson(&query.path(true)).await
    }

    pub async fn bases(&self) -> Result<Page<BaseView>, ClientError> {
        self.get("/v1/bases").await
    }

    /// What changes, as it changes. Read what you show after the stream is open, and nothing is missed.
    pub async fn watch(&self) -> Result<Items<WatchEvent>, ClientError> {
        self.events_of("/v1/watch").await
    }

    pub async fn openapi(&self) -> Result<serde_json::Value, ClientError> {
        self.get("/v1/openapi.json").await
    }
}
