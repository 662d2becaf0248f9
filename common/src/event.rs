//! Something that happened, and why.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How much an event matters to the person who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Error,
}

/// One line of the timeline. Events are appended, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Grows by one per event; the cursor of every event list.
    pub id: u64,
    /// RFC 3339, for people only.
    pub at: String,
    pub severity: Severity,
    /// A stable code: `deploy_failed`, `instance_crashed`.
    pub kind: String,
    pub app: Option<String>,
    pub instance: Option<String>,
    pub node: Option<String>,
    /// Who caused it: a person's name, or `dinp`.
    pub actor: String,
    /// What happened and why, one sentence.
    pub text: String,
    /// More for those who ask: the last output of a dead instance, a plan's filtered nodes.
    #[serde(default)]
    pub detail: Option<String>,
}
