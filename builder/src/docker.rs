//! The local Docker engine: the only one a builder talks to.

use std::path::Path;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};

use crate::refusal::Refusal;

/// Seconds until an engine that has taken a whole image must have answered.
const LONG_CALL_SECONDS: u64 = 600;
/// How long an engine may take over a question.
pub(crate) const QUESTION: Duration = Duration::from_secs(20);

/// Connects to the engine behind `socket`, in the version both speak.
pub async fn connect(socket: &Path) -> anyhow::Result<Docker> {
    let docker = Docker::connect_with_unix(&socket.to_string_lossy(), LONG_CALL_SECONDS, API_DEFAULT_VERSION);
    let docker = docker.map_err(|error| unreachable(socket, &error.to_string()))?;
    match tokio::time::timeout(QUESTION, docker.negotiate_version()).await {
        Ok(Ok(docker)) => Ok(docker),
        Ok(Err(error)) => Err(unreachable(socket, &error.to_string()).into()),
        Err(_) => Err(unreachable(socket, "it does not answer").into()),
    }
}

fn unreachable(socket: &Path, why: &str) -> Refusal {
    Refusal::new(
        format!("Docker cannot be reached at {}: {why}", socket.display()),
        "start the Docker engine (`systemctl start docker`)",
    )
}

/// A short question, with a deadline of its own.
pub(crate) async fn ask<T>(what: &str, call: impl Future<Output = Result<T, Error>>) -> anyhow::Result<T> {
    match tokio::time::timeout(QUESTION, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(anyhow::Error::new(error).context(format!("Docker, asked to {what}"))),
        Err(_) => Err(anyhow::anyhow!("Docker did not {what} within {} s", QUESTION.as_secs())),
    }
}

/// `None` where the engine says that there is no such thing.
pub(crate) async fn ask_for<T>(what: &str, call: impl Future<Output = Result<T, Error>>) -> anyhow::Result<Option<T>> {
    match ask(what, call).await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match error.downcast_ref::<Error>() {
            Some(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            _ => Err(error),
        },
    }
}
