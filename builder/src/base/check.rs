//! The contract of a base that is not ours: BASES.md. Checked once per image, by running it.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, LogsOptions, RemoveContainerOptions, StartContainerOptions, WaitContainerOptions,
};
use dinp_common::digest::Digest;
use dinp_common::kind::Base;
use futures_util::StreamExt;

use super::spec;
use crate::docker::ask;
use crate::image::{BaseImage, USER};
use crate::refusal::Refusal;

/// How long the check may take within its container.
const DEADLINE: Duration = Duration::from_secs(30);
/// Prints a line for each thing that is missing. The programs are its arguments.
const SCRIPT: &str = r#"for program; do command -v "$program" >/dev/null || echo "the program $program on its PATH"; done
[ "$(id -u)" = 1000 ] || echo "id -u to say 1000"
[ -w /tmp ] || echo "a /tmp that everybody may write""#;

/// Images that passed, for as long as this process lives.
static PASSED: LazyLock<Mutex<BTreeSet<(Base, Digest)>>> = LazyLock::new(Mutex::default);

pub(super) async fn once(docker: &Docker, base: Base, reference: &str, image: &BaseImage) -> anyhow::Result<()> {
    let key = (base, image.image.config.clone());
    if PASSED.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
        return Ok(());
    }
    let missing = run(docker, base, image.image.config.as_str()).await;
    let refuse = |what: String| {
        let why = format!("{reference} cannot stand in for the base {base}: {what}");
        Refusal::new(
            why,
            format!("see builder/BASES.md for what a base must have, or leave `bases.{base}` out of the configuration"),
        )
    };
    match missing {
        Ok(missing) if missing.is_empty() => {
            PASSED.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
            Ok(())
        }
        Ok(missing) => Err(refuse(format!("it lacks {}", missing.join(", "))).into()),
        Err(error) => Err(refuse(format!("{error:#}")).into()),
    }
}

async fn run(docker: &Docker, base: Base, image: &str) -> anyhow::Result<Vec<String>> {
    let mut command: Vec<String> = ["sh", "-c", SCRIPT, "sh"].map(str::to_owned).into();
    command.extend(spec::programs(base).iter().map(|program| (*program).to_owned()));
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        user: Some(USER.to_owned()),
        entrypoint: Some(command),
        cmd: Some(Vec::new()),
        network_disabled: Some(true),
        host_config: Some(HostConfig {
            memory: Some(64 * 1024 * 1024),
            pids_limit: Some(32),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let made = ask("create a container of it", docker.create_container(None::<CreateContainerOptions>, body)).await?;
    let checked = missing(docker, &made.id).await;
    let remove = RemoveContainerOptions { force: true, v: true, link: false };
    ask("remove the container that checked it", docker.remove_container(&made.id, Some(remove))).await?;
    checked
}

async fn missing(docker: &Docker, container: &str) -> anyhow::Result<Vec<String>> {
    ask("start it", docker.start_container(container, None::<StartContainerOptions>)).await?;
    let mut waiting = docker.wait_container(container, None::<WaitContainerOptions>);
    let code = match tokio::time::timeout(DEADLINE, waiting.next()).await {
        Ok(Some(Ok(end))) => end.status_code,
        Ok(Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. }))) => code,
        Ok(Some(Err(error))) => return Err(error.into()),
        Ok(None) => anyhow::bail!("Docker did not say how the check ended"),
        Err(_) => anyhow::bail!("the check did not end within {} s", DEADLINE.as_secs()),
    };
    let mut text = Vec::new();
    let options = LogsOptions { stdout: true, stderr: true, tail: "20".to_owned(), ..LogsOptions::default() };
    let mut logs = docker.logs(container, Some(options));
    while let Some(Ok(line)) = logs.next().await {
        if let LogOutput::StdOut { message } | LogOutput::StdErr { message } = line {
            text.extend_from_slice(&message);
        }
    }
    let lines: Vec<String> = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
    anyhow::ensure!(code == 0 || !lines.is_empty(), "its sh ended with code {code}");
    Ok(lines)
}
