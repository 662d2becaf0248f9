//! What an instance is: an immutable, numbered snapshot.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::digest::Image;
use crate::health::HealthCheck;
use crate::name::EnvKey;
use crate::placement::Placement;
use crate::size::{Cpu, MiB};

/// A release's number within its app, from 1. Printed as `v7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ReleaseNo(pub u32);

impl fmt::Display for ReleaseNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("v{}", self.0))
    }
}

impl std::str::FromStr for ReleaseNo {
    type Err = crate::name::InvalidName;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix('v')
            .unwrap_or(text)
            .parse()
            .ok()
            .filter(|n| *n > 0)
            .map(Self)
            .ok_or_else(|| crate::name::InvalidName(format!("\"{text}\" is not a release; write for example v7")))
    }
}

/// A value of the environment. Sealed values are write-only: never printed, never answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnvValue {
    pub value: String,
    #[serde(default)]
    pub sealed: bool,
}

impl EnvValue {
    pub fn plain(value: impl Into<String>) -> Self {
        Self { value: value.into(), sealed: false }
    }
}

/// An environment may hold a password whatever its flag says, so `Debug` never shows a value.
impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

pub type Env = BTreeMap<EnvKey, EnvValue>;

/// Everything that makes one instance equal to another. A change to any field is a new release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunSpec {
    pub image: Image,
    #[schema(value_type = BTreeMap<String, EnvValue>)]
    pub env: Env,
    pub memory: MiB,
    /// Processor time reserved for it; without, it takes what others leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    #[serde(default, skip_serializing_if = "Placement::is_anywhere")]
    pub placement: Placement,
    /// The port the app listens on, also given to it as `$PORT`.
    pub port: u16,
    pub health: HealthCheck,
    /// Replaces the image's own command: program, then arguments. Never a shell line.
    pub command: Option<Vec<String>>,
    /// Seconds between SIGTERM and SIGKILL.
    pub stop_grace_seconds: u32,
}

impl RunSpec {
    pub const DEFAULT_MEMORY: MiB = MiB(256);
    pub const DEFAULT_PORT: u16 = 8080;
    pub const DEFAULT_STOP_GRACE_SECONDS: u32 = 10;
}

/// A numbered snapshot of an app's [`RunSpec`]. Never edited, and never renumbered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub number: ReleaseNo,
    pub spec: RunSpec,
    /// Why it exists, for people: `deploy of shop.war`, `rollback to v3`, `set LOG_LEVEL`.
    pub note: String,
    /// The build its image came from.
    pub build: Option<crate::build::BuildId>,
    /// Who asked for it.
    pub author: String,
    /// RFC 3339, for people only: no decision reads it.
    pub created_at: String,
}
