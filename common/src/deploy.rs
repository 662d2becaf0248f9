//! One change to an app under way, and how it ended.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::Settings;
use crate::build::BuildId;
use crate::name::{AppName, InvalidName};
use crate::release::ReleaseNo;

/// A deploy's number within its app, from 1. Printed as `#7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct DeployNo(pub u32);

impl fmt::Display for DeployNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("#{}", self.0))
    }
}

macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(InvalidName(format!("\"{text}\" is not one of {}", [$($text),+].join(", ")))),
                }
            }
        }
    };
}
pub(crate) use text_enum;

text_enum!(
    /// What people asked for.
    DeployKind {
        /// A new release: a new image, or a changed configuration.
        Release = "release",
        Scale = "scale",
        Restart = "restart",
        Rollback = "rollback",
        Stop = "stop",
        Start = "start",
        Delete = "delete",
    }
);

text_enum!(
    /// Every deploy ends in one of the last four.
    DeployState {
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
        Superseded = "superseded",
    }
);

impl DeployState {
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Running)
    }
}

text_enum!(
    /// Where a running deploy is.
    DeployPhase {
        /// The builder wraps the artifact.
        Build = "build",
        /// Instances start, prove themselves, and replace the old ones.
        Rollout = "rollout",
    }
);

text_enum!(
    /// How instances are replaced.
    Strategy {
        /// New ones prove themselves before old ones leave; needs room for one more.
        Rolling = "rolling",
        /// Old ones go first: a gap, but no room needed.
        Recreate = "recreate",
    }
);

/// What an app's people want of it beside its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub instances: u32,
    pub stopped: bool,
}

/// A deploy as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    pub app: AppName,
    pub number: DeployNo,
    pub kind: DeployKind,
    pub state: DeployState,
    pub phase: DeployPhase,
    pub strategy: Strategy,
    /// The release that served when it began.
    pub from: Option<ReleaseNo>,
    /// What was wanted when it began, to which a cancellation returns; `None` where nothing was.
    pub before: Option<Wanted>,
    /// The release it leads to; `None` until its build has made one.
    pub to: Option<ReleaseNo>,
    /// The generation its new instances carry.
    pub generation: u32,
    pub build: Option<BuildId>,
    /// What people asked for beside the image; merged with the newest live release when the build is done.
    pub settings: Settings,
    /// Milliseconds of work so far. Time without a leader does not count.
    pub spent_ms: u64,
    pub deadline_ms: u64,
    /// Instances of the new release that ended before they were healthy.
    pub failed_starts: u32,
    /// Why people hold it back, in words; `None` while it goes on.
    pub paused: Option<String>,
    /// Milliseconds it was held back so far, which do not count as work.
    pub paused_ms: u64,
    pub failure: Option<Failure>,
    pub note: String,
    pub author: String,
    /// RFC 3339, for people only.
    pub created_at: String,
}

text_enum!(
    /// Why a deploy failed: a stable code; the words stand beside it.
    Cause {
        BuildFailed = "build_failed",
        ImageMissing = "image_missing",
        CrashedOnStart = "crashed_on_start",
        NeverHealthy = "never_healthy",
        WrongAddress = "wrong_address",
        NoRoom = "no_room",
        StartFailed = "start_failed",
        NotRouted = "not_routed",
        Deadline = "deadline",
    }
);

/// The cause of a failed deploy, complete: what happened, what still works, what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    pub cause: Cause,
    /// What happened and why, one or two sentences.
    pub why: String,
    /// What still serves: `v3 still serves all traffic`.
    pub now: String,
    /// What to do.
    pub fix: String,
    /// The last lines a failed instance wrote, if it wrote any.
    #[serde(default)]
    pub output: Option<String>,
}
