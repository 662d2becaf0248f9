//! A rebalance: instances move, few at a time, from crowded nodes to emptier ones.

use serde::{Deserialize, Serialize};

use crate::instance::InstanceId;
use crate::name::{AppName, NodeName};

/// The last one there was, as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebalance {
    /// From 1; a newer one has a higher number.
    pub number: u64,
    /// Who asked for it; `dinp` where it began by itself.
    pub by: String,
    /// Instances that have moved.
    pub moved: u32,
    /// Milliseconds since anything moved.
    pub still_ms: u64,
    /// Those that are moving, and those whose move was given up.
    pub moves: Vec<Moving>,
    /// Why it ended; `None` while it goes on.
    pub ended: Option<String>,
    /// People ended it.
    pub cancelled: bool,
}

/// One instance on its way to another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    pub instance: InstanceId,
    pub app: AppName,
    /// Its successor stands here.
    pub to: NodeName,
    /// Its successor did not serve: it stays where it is, and so does all of its app.
    #[serde(default)]
    pub given_up: bool,
}

impl Rebalance {
    /// One that begins.
    pub fn new(number: u64, by: impl Into<String>) -> Self {
        Self { number, by: by.into(), moved: 0, still_ms: 0, moves: Vec::new(), ended: None, cancelled: false }
    }

    /// Whether this may be stored in the place of `stored`: a newer one, or a later state of one that goes on. What people
    /// have cancelled stays so, whatever a leader decided before it heard of that.
    pub fn follows(&self, stored: Option<&Self>) -> bool {
        stored.is_none_or(|stored| self.number > stored.number || (self.number == stored.number && stored.ended.is_none()))
    }

    /// As it is once people have ended it: what is on its way stays where it was.
    pub fn cancelled(self, by: &str) -> Self {
        Self { moves: Vec::new(), ended: Some(format!("cancelled by {by}")), cancelled: true, ..self }
    }

    /// Moves under way.
    pub fn under_way(&self) -> impl Iterator<Item = &Moving> {
        self.moves.iter().filter(|moving| !moving.given_up)
    }

    /// Moves that were given up.
    pub fn failures(&self) -> u32 {
        self.moves.iter().filter(|moving| moving.given_up).count() as u32
    }
}
