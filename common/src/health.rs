//! How an instance proves that it serves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is asked of an instance before it takes traffic, and while it does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum HealthCheck {
    /// `GET path` on the instance's port answers 200 to 399.
    Http { path: String },
    /// The instance's port accepts a connection.
    Tcp,
}

/// What an agent's probes say of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Health {
    /// No probe has succeeded yet; `last` is what the latest one met, in words.
    Unproven {
        last: Option<String>,
    },
    Healthy,
    /// It was healthy, and `policy` probes in a row have failed since.
    Unhealthy {
        last: String,
    },
}

impl HealthCheck {
    /// `GET /health`, `a TCP connection`: the check in words.
    pub fn describe(&self, port: u16) -> String {
        match self {
            Self::Http { path } => format!("GET :{port}{path}"),
            Self::Tcp => format!("a TCP connection to :{port}"),
        }
    }
}
