//! A node: one agent and what it can hold.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::NodeName;
use crate::size::MiB;

/// What a node has to give, as its agent measured it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Capacity {
    /// Memory that instances may reserve, the platform's own share taken off.
    pub memory: MiB,
    pub cpus: u32,
    /// Addresses instances can have at once, those in quarantine taken off.
    pub addresses: u32,
}

/// What a node says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    pub capacity: Capacity,
    pub labels: BTreeMap<String, String>,
    pub zone: String,
    /// The agent's version.
    pub version: String,
    /// Docker's version, or why Docker does not answer.
    pub docker: Result<String, String>,
    /// Bytes free and total where Docker keeps its data.
    pub disk_free: u64,
    pub disk_total: u64,
}

/// What the store knows of a node; all else is only ever seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: NodeName,
    /// Nothing new is placed on it.
    pub cordoned: bool,
    /// What runs on it moves away, start-first. A node that is drained is cordoned too.
    pub draining: bool,
}

/// What people use a node for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeUse {
    Open,
    /// What runs there stays, and nothing new comes.
    Cordoned,
    /// What runs there moves away.
    Draining,
}

/// The status word of a node, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum NodeStatus {
    Ready,
    Suspect,
    Lost,
    Draining,
    Cordoned,
}

impl NodeStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Suspect => "Suspect",
            Self::Lost => "Lost",
            Self::Draining => "Draining",
            Self::Cordoned => "Cordoned",
        }
    }
}

impl fmt::Display for NodeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
