//! What agents and servers say to each other: JSON messages over one WebSocket that the agent opens.
//!
//! Assignments are levels: each message holds everything the node should have, so a lost or doubled one does no
//! harm. Reports say what is, instance by instance; an instance that an agent does not mention is unknown, not gone.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::build::BuildId;
use crate::digest::{Digest, Image};
use crate::fence::{Fence, FenceRefusal};
use crate::instance::{InstanceId, Seen, Want};
use crate::name::{AppName, ClusterId, NodeName};
use crate::node::NodeFacts;
use crate::release::{ReleaseNo, RunSpec};

/// The version of this protocol. A server speaks its own and the one before.
pub const PROTOCOL: u32 = 1;

/// Where the agent connects, below the server's address.
pub const AGENT_PATH: &str = "/v1/agent";

/// How often the leader sends a node its assignments, changed or not. Hearing them is how an agent knows that
/// somebody leads.
pub const ASSIGN_EVERY_MS: u64 = 2_000;

/// An agent that has heard no assignments for this long acts alone: it restarts what crashes, in place.
pub const LEADERLESS_AFTER_MS: u64 = 10_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum AgentMessage {
    /// The first message of a connection.
    Hello(Hello),
    Report(Report),
    /// An assignment was refused; a leader that reads this goes above `highest`.
    Refused {
        refusal: FenceRefusal,
        highest: Fence,
    },
    /// A piece of the answer to an [`Ask`].
    Lines {
        ask: u64,
        lines: Vec<LogLine>,
    },
    /// The answer to [`Ask::Image`]; the error says why there is none.
    Image {
        ask: u64,
        image: Result<Image, String>,
    },
    /// The end of an answer; `error` says why it is incomplete.
    Done {
        ask: u64,
        error: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ServerMessage {
    /// The answer to [`Hello`]: the agent may report.
    Welcome {
        cluster: ClusterId,
        server: String,
    },
    Assign(Assignments),
    Ask {
        id: u64,
        ask: Ask,
    },
    /// Nobody reads the answer any more.
    Cancel {
        id: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    pub node: NodeName,
    /// The cluster the agent belongs to, once it has joined one.
    pub cluster: Option<ClusterId>,
    /// Random for each start of the agent.
    pub boot: String,
    pub facts: NodeFacts,
    /// The highest fence the agent has accepted.
    pub highest: Option<Fence>,
}

/// Which assignment a report already answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AssignmentVersion {
    pub epoch: u64,
    pub revision: u64,
}

/// What a node has. Sent whole after `Welcome` and every few seconds, as a delta when something changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub boot: String,
    /// Grows by one per report of a boot.
    pub seq: u64,
    /// True if `instances`, `cooling` and `orphans` are complete; a delta's `instances` replace single entries, its
    /// `cooling` and `orphans` are complete all the same.
    pub full: bool,
    /// The assignment this report has taken in; `None` before the first. An older one says nothing of newer instances.
    pub assignment: Option<AssignmentVersion>,
    pub instances: BTreeMap<InstanceId, InstanceReport>,
    /// Instances whose container is gone and whose address waits to be released.
    pub cooling: Vec<InstanceId>,
    pub orphans: Vec<Orphan>,
    pub facts: NodeFacts,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceReport {
    pub app: AppName,
    pub release: ReleaseNo,
    pub seen: Seen,
    /// Where the process listens, read from the container's network namespace, while it is not healthy.
    pub listening: Vec<SocketAddr>,
    /// Restarts by the agent alone, while no leader was heard.
    pub restarts: u32,
}

/// A container of this cluster and node without an assignment. It keeps running.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Orphan {
    pub container: String,
    #[schema(value_type = String)]
    pub app: AppName,
    #[schema(value_type = String)]
    pub instance: InstanceId,
    pub running: bool,
}

/// Everything one node should have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignments {
    pub fence: Fence,
    /// Grows by one per change within an epoch.
    pub revision: u64,
    pub instances: Vec<Assignment>,
    /// Instances whose withdrawal every recorded router has confirmed: their addresses may be used again.
    pub released: Vec<InstanceId>,
    pub images: ImagesKept,
}

impl Assignments {
    pub fn at(&self) -> AssignmentVersion {
        AssignmentVersion { epoch: self.fence.epoch, revision: self.revision }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub instance: InstanceId,
    pub app: AppName,
    pub release: ReleaseNo,
    /// 0 to N-1 among the app's instances, for the environment.
    pub index: u32,
    pub want: Want,
    pub spec: RunSpec,
}

/// Which images of ours stay on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagesKept {
    /// Configuration digests that some kept release needs.
    pub keep: Vec<Digest>,
    /// Images of builds up to this one that are not in `keep` may go; newer ones are still being decided on.
    pub settled: Option<BuildId>,
}

/// A question to an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "ask")]
pub enum Ask {
    /// The output of an instance: the last `tail` lines, then new ones while `follow`. Answered by
    /// [`AgentMessage::Lines`] and one [`AgentMessage::Done`].
    Logs { instance: InstanceId, tail: u32, follow: bool },
    /// What a reference or an id means on this node; answered by one [`AgentMessage::Image`] alone.
    Image { reference: String },
}

/// One line an instance wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// RFC 3339 with nanoseconds, from Docker.
    pub at: String,
    #[schema(value_type = String)]
    pub instance: InstanceId,
    /// Whether it went to standard error.
    pub stderr: bool,
    pub text: String,
}
