//! An app: what its people want.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::deploy::text_enum;
use crate::name::{AppName, InvalidName, TeamName};
use crate::pace::Pace;
use crate::release::ReleaseNo;

text_enum!(
    /// What an app is to the platform. More kinds come later.
    AppKind {
        /// Serves HTTP behind the router.
        Web = "web",
    }
);

/// What an app's people want, and which release serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub name: AppName,
    pub team: TeamName,
    pub kind: AppKind,
    /// Instances wanted while the app is not stopped.
    pub instances: u32,
    pub stopped: bool,
    /// A tombstone: the record goes once every node has confirmed that nothing of the app is left.
    pub deleted: bool,
    /// The last release proven good. A failed deploy returns to it.
    pub live: Option<ReleaseNo>,
    /// Instances of the live release with an older generation are due for a restart.
    pub generation: u32,
    /// Grows with every change people make.
    pub revision: u64,
    pub backoff: Backoff,
    /// How its instances are replaced. It stays as people last asked for, whatever becomes of the deploy they asked with.
    pub pace: Pace,
    /// RFC 3339, for people only.
    pub created_at: String,
}

impl App {
    /// An app nobody has deployed to yet, as the first wish for it finds it.
    pub fn new(name: AppName, created_at: String) -> Self {
        Self {
            name,
            team: TeamName::default_team(),
            kind: AppKind::Web,
            instances: 1,
            stopped: false,
            deleted: false,
            live: None,
            generation: 0,
            revision: 0,
            backoff: Backoff::default(),
            pace: Pace::default(),
            created_at,
        }
    }
}

/// Crash back-off of the live release, as time already spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Crashes since the last calm period.
    pub crashes: u32,
    /// Milliseconds until the next start may happen.
    pub wait_ms: u64,
    /// Milliseconds without a crash.
    pub calm_ms: u64,
}

/// The status word of an app, derived from its instances; never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum AppStatus {
    /// No healthy instance, though some are wanted.
    Down,
    /// Fewer healthy instances than wanted.
    Degraded,
    /// A deploy is under way.
    Deploying,
    Running,
    Stopped,
}

impl AppStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Deploying => "Deploying",
            Self::Degraded => "Degraded",
            Self::Down => "Down",
            Self::Stopped => "Stopped",
        }
    }
}

impl fmt::Display for AppStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
