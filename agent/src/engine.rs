//! The local Docker engine: every call with a deadline, and never more than a few at once.

mod body;
mod list;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use dinp_planner::agent::Outcome;
use tokio::sync::{Semaphore, SemaphorePermit};

pub use body::Host;
pub use list::our_labels;

/// Changes (create, start, kill, remove) under way at once: more only queue inside Docker, and then time out there.
const CHANGES_AT_ONCE: usize = 8;
/// Reads under way at once. They have room of their own, so that a crash is seen while many containers start.
const READS_AT_ONCE: usize = 8;
/// Deadline of a read.
pub const READ_DEADLINE: Duration = Duration::from_secs(5);
/// Deadline of a change, its wait for room included.
pub const CHANGE_DEADLINE: Duration = Duration::from_secs(60);
/// bollard's own bound, in seconds; the deadlines here are what counts.
const CLIENT_TIMEOUT: u64 = 120;

#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    connected: Mutex<Option<Docker>>,
    changes: Semaphore,
    reads: Semaphore,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    #[error("Docker cannot be reached at {socket}: {why}")]
    Unreachable { socket: String, why: String },
    #[error("Docker has not answered within {0:?}")]
    Deadline(Duration),
    #[error("{message}")]
    Answered { status: u16, message: String },
    #[error("Docker's answer cannot be read: {0}")]
    Unreadable(String),
}

#[derive(Debug, Clone, Copy)]
pub enum Lane {
    Change,
    Read,
}

impl Engine {
    pub fn new(socket: PathBuf) -> Self {
        Self {
            socket,
            connected: Mutex::new(None),
            changes: Semaphore::new(CHANGES_AT_ONCE),
            reads: Semaphore::new(READS_AT_ONCE),
        }
    }

    /// One call, within its deadline and its lane.
    pub async fn call<T, F>(&self, lane: Lane, deadline: Duration, call: impl FnOnce(Docker) -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, bollard::errors::Error>>,
    {
        let room = match lane {
            Lane::Change => &self.changes,
            Lane::Read => &self.reads,
        };
        let work = async {
            let _permit = room.acquire().await.map_err(|closed| self.unreachable(closed))?;
            let docker = self.docker().await?;
            call(docker).await.map_err(|error| self.explain(error))
        };
        tokio::time::timeout(deadline, work).await.unwrap_or(Err(EngineError::Deadline(deadline)))
    }

    /// A connection for streams, which have no end to put a deadline on.
    pub async fn stream(&self) -> Result<Docker, EngineError> {
        tokio::time::timeout(READ_DEADLINE, self.docker()).await.unwrap_or(Err(EngineError::Deadline(READ_DEADLINE)))
    }

    /// Room among the reads, for a stream that counts as one.
    pub async fn room(&self) -> Result<SemaphorePermit<'_>, EngineError> {
        self.reads.acquire().await.map_err(|closed| self.unreachable(closed))
    }

    /// Forgets what was agreed with the engine, which may have been replaced by another version.
    pub fn forget(&self) {
        *self.connected.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }

    async fn docker(&self) -> Result<Docker, EngineError> {
        let known = self.connected.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if let Some(docker) = known {
            return Ok(docker);
        }
        let socket = self.socket.display().to_string();
        let docker = Docker::connect_with_unix(&socket, CLIENT_TIMEOUT, API_DEFAULT_VERSION);
        let docker = docker.map_err(|error| self.unreachable(error))?;
        let docker = docker.negotiate_version().await.map_err(|error| self.explain(error))?;
        *self.connected.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(docker.clone());
        Ok(docker)
    }

    fn unreachable(&self, why: impl std::fmt::Display) -> EngineError {
        EngineError::Unreachable { socket: self.socket.display().to_string(), why: why.to_string() }
    }

    fn explain(&self, error: bollard::errors::Error) -> EngineError {
        use bollard::errors::Error;
        match error {
            Error::DockerResponseServerError { status_code, message } => EngineError::Answered { status: status_code, message },
            Error::JsonDataError { message, .. } => EngineError::Unreadable(message),
            Error::SocketNotFoundError(_) => self.unreachable("there is no such socket"),
            Error::HyperLegacyError { err } => self.unreachable(root_cause(&err)),
            other => EngineError::Unreadable(root_cause(&other)),
        }
    }
}

/// The innermost error: `Connection refused` rather than `client error (Connect)`.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

impl EngineError {
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Answered { status: 404, .. })
    }
}

/// What an answer means for convergence.
pub fn outcome<T>(result: Result<T, EngineError>) -> Outcome<T> {
    match result {
        Ok(done) => Outcome::Done(done),
        Err(EngineError::Answered { status: 404, message }) => Outcome::Missing(message),
        Err(EngineError::Answered { status: 409, message }) => Outcome::Conflict(message),
        Err(EngineError::Answered { status: 400..=499, message }) => Outcome::Refused(message),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
