//! What can go wrong between a caller and the API.

use std::path::PathBuf;

use dinp_common::problem::Problem;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server answered, and refused.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// No server answered at all, or not within the deadline.
    #[error("cannot reach {url}: {why}")]
    Unreachable { url: String, why: String },
    /// The connection ended in mid-call: whether the server acted is unknown.
    #[error("the connection to {url} was lost: {why}")]
    Interrupted { url: String, why: String },
    /// What came back is not what DINP's API answers. `status` is that of a refusal without a problem in it.
    #[error("unexpected answer from {url}: {why}")]
    Protocol { url: String, status: Option<u16>, why: String },
    /// The address cannot be one of a server.
    #[error("{url} cannot be used: {why}")]
    Address { url: String, why: String },
    /// A local file could not be read or written.
    #[error("{}: {why}", path.display())]
    File { path: PathBuf, why: String },
}

impl ClientError {
    /// The problem, where the server sent one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// The HTTP status of a refusal.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Protocol { status, .. } => *status,
            _ => None,
        }
    }

    /// Whether the same call may succeed a moment later, with nothing changed: the server restarts, or a line was cut.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Interrupted { .. } => true,
            Self::Problem(problem) => matches!(problem.status, 502..=504),
            Self::Protocol { .. } | Self::Address { .. } | Self::File { .. } => false,
        }
    }
}

impl From<Problem> for ClientError {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}
