//! Artifact to image.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::deploy::text_enum;
use crate::digest::Image;
use crate::health::HealthCheck;
use crate::kind::Kind;
use crate::name::InvalidName;
use std::fmt;

/// A build's number within the cluster, from 1; its tag is `b<number>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct BuildId(pub u32);

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("b{}", self.0))
    }
}

text_enum!(
    /// Where a build is.
    BuildState {
        /// Waits for a builder.
        Queued = "queued",
        Running = "running",
        Succeeded = "succeeded",
        Failed = "failed",
    }
);

/// What a builder needs to know to make an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildOrder {
    pub id: BuildId,
    #[schema(value_type = String)]
    pub app: crate::name::AppName,
    /// The artifact's content, `sha256:...`.
    #[schema(value_type = String)]
    pub artifact: crate::digest::Digest,
    pub artifact_bytes: u64,
    /// The name of the file as people gave it; a hint, never trusted.
    pub file_name: String,
    /// What people say it is; detected from content where they say nothing.
    pub kind: Option<Kind>,
    /// The start command people gave: program and arguments.
    pub start: Option<Vec<String>>,
}

/// What came out of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum BuildOutcome {
    Image {
        image: Image,
        kind: Kind,
        /// The health check that suits the kind, where the artifact says nothing.
        health: HealthCheck,
        /// The Dockerfile that gives the same image.
        dockerfile: String,
    },
    Failed {
        /// What happened and why.
        why: String,
        /// What to do.
        fix: String,
    },
}
