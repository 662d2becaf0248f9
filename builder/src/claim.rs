//! Takes builds from the server, one after the other, and tells it how they go.

mod log;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use dinp_client::Client;
use dinp_common::api::{BuildClaim, BuildFinish};
use dinp_common::build::BuildOutcome;
use dinp_common::token::Token;
use dinp_daemon::admin::{self, Readiness};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::build::Workshop;
use crate::refusal::Refusal;
use crate::{Config, base, docker};
use log::Log;

/// How long one question for work waits at the server.
const CLAIM_WAIT: Duration = Duration::from_secs(30);
/// Builds at a time: one that makes a base for a minute must not hold up another that needs none.
const BUILDS_AT_ONCE: usize = 2;
/// After an error, a builder asks again after this long.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// How long a build may take, the making of a base included.
const BUILD_DEADLINE: Duration = Duration::from_secs(25 * 60);
/// How often the end of a build is told again to a server that does not answer.
const FINISH_TRIES: u32 = 30;
/// The part of a process that takes builds, in what `/readyz` says.
const PART: &str = "builder";

/// Takes and does builds until `shutdown`. A build in hand is dropped then; its claim lapses, and it is taken anew. What
/// keeps it from taking any goes into `readiness`.
pub async fn run(config: Config, readiness: Readiness, shutdown: CancellationToken) -> anyhow::Result<()> {
    prepare(&config.state_dir)?;
    readiness.not_ready(PART, "it has not asked for builds yet");
    let Some(address) = config.admin else { return take_all(&config, &readiness, &shutdown).await };
    let listener = TcpListener::bind(address).await.with_context(|| format!("the admin address {address}"))?;
    tokio::select! {
        taken = take_all(&config, &readiness, &shutdown) => taken,
        // Nobody ends it: it is there until the last build is dropped.
        () = admin::serve(listener, readiness.clone(), CancellationToken::new()) => Ok(()),
    }
}

async fn take_all(config: &Config, readiness: &Readiness, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let mut builds: JoinSet<()> = JoinSet::new();
    let mut trouble = String::new();
    while !shutdown.is_cancelled() {
        while let Some(ended) = builds.try_join_next() {
            note_panic(ended);
        }
        if builds.len() >= BUILDS_AT_ONCE {
            // Cancel-safe: a build that ended is only counted.
            tokio::select! {
                Some(ended) = builds.join_next() => note_panic(ended),
                () = shutdown.cancelled() => break,
            }
            continue;
        }
        // Dropping a claim in flight is safe: unrenewed, it lapses.
        let taken = tokio::select! {
            taken = take(config, readiness) => taken,
            () = shutdown.cancelled() => break,
        };
        match taken {
            Ok(Some((client, workshop, claim))) => {
                let stop = shutdown.child_token();
                builds.spawn(one(client, workshop, claim, config.state_dir.clone(), stop, shutdown.clone()));
                trouble.clear();
            }
            Ok(None) => trouble.clear(),
            Err(error) => {
                let text = format!("{error:#}");
                readiness.not_ready(PART, text.clone());
                if text != trouble {
                    tracing::warn!("no builds can be taken: {text}");
                    trouble = text;
                }
                tokio::select! {
                    () = tokio::time::sleep(RETRY_PAUSE) => {}
                    () = shutdown.cancelled() => break,
                }
            }
        }
    }
    while let Some(ended) = builds.join_next().await {
        note_panic(ended);
    }
    Ok(())
}

fn note_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a build ended abnormally: {error}");
    }
}

/// Makes the state folder, and empties it of what an earlier life left.
fn prepare(state_dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(state_dir).with_context(|| format!("making {}", state_dir.display()))?;
    for entry in std::fs::read_dir(state_dir)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(ARTIFACT_PREFIX) {
            std::fs::remove_dir_all(entry.path()).with_context(|| format!("removing {}", entry.path().display()))?;
        }
    }
    Ok(())
}

const ARTIFACT_PREFIX: &str = "artifact-";

/// Asks for work, only where it could be done: without Docker, builds wait at the server.
async fn take(config: &Config, readiness: &Readiness) -> anyhow::Result<Option<(Client, Workshop, BuildClaim)>> {
    let docker = docker::connect(&config.docker).await?;
    let text = tokio::fs::read_to_string(&config.token_file).await;
    let text = text.with_context(|| format!("reading the builder's token from {}", config.token_file.display()))?;
    let (_, token) = Token::parse(text.trim()).with_context(|| format!("{} holds no token", config.token_file.display()))?;
    let client = Client::connect(&config.server, Some(token))?;
    let cluster = client.version().await?.cluster;
    // Told with every question: a base may have been made, replaced or removed meanwhile.
    client.builder_bases(&base::base_list(&docker, &cluster, &config.bases).await?).await?;
    readiness.ready(PART);
    let claim = client.builder_claim(CLAIM_WAIT).await?;
    let workshop = Workshop { docker, cluster, bases: config.bases.clone() };
    Ok(claim.map(|claim| (client, workshop, claim)))
}

/// Does one build and tells its end. `stop` ends this build, `shutdown` this process.
async fn one(
    client: Client,
    workshop: Workshop,
    claim: BuildClaim,
    state_dir: PathBuf,
    stop: CancellationToken,
    shutdown: CancellationToken,
) {
    let order = claim.order.clone();
    tracing::info!(build = %order.id, app = %order.app, artifact = %order.artifact, "building");
    let log = Log::default();
    let telling = tokio::spawn(log.clone().tell(client.clone(), order.id, claim.claim.clone(), stop.clone()));
    let work = fetch_and_build(&client, &workshop, &claim, &state_dir, &stop, &log);
    // Dropping the work ends it: readers stop at their next block through `stop`, children are killed, the half-sent
    // image is refused by Docker.
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = stop.cancelled() => Err(Refusal::new("the build was stopped", "deploy again").into()),
        () = tokio::time::sleep(BUILD_DEADLINE) => {
            let why = format!("the build took longer than {} minutes and was stopped", BUILD_DEADLINE.as_secs() / 60);
            Err(Refusal::new(why, "deploy again; if it stays, look at what the log waits for").into())
        }
    };
    let lost = stop.is_cancelled();
    stop.cancel();
    let outcome = outcome.unwrap_or_else(|error: anyhow::Error| {
        let Refusal { why, fix } = Refusal::of(&error);
        tracing::info!(build = %order.id, "failed: {error:#}");
        log.say(format!("failed: {why}"));
        BuildOutcome::Failed { why, fix }
    });
    log.close();
    if let Err(error) = telling.await {
        tracing::error!("the log's task ended abnormally: {error}");
    }
    if lost || shutdown.is_cancelled() {
        // Whoever holds the claim next builds it anew; an image made meanwhile is replaced under the same tag.
        crate::image::remove(&workshop.docker, &crate::image::tag(&order)).await;
        return;
    }
    finish(&client, &claim, outcome, &shutdown).await;
}

async fn fetch_and_build(
    client: &Client,
    workshop: &Workshop,
    claim: &BuildClaim,
    state_dir: &Path,
    stop: &CancellationToken,
    log: &Log,
) -> anyhow::Result<BuildOutcome> {
    let order = &claim.order;
    // In a folder of its own: where a stopped build takes the folder away, a file that was about to be made no longer can.
    let folder =
        tempfile::Builder::new().prefix(ARTIFACT_PREFIX).tempdir_in(state_dir).context("making room for the artifact")?;
    let file = folder.path().join("artifact");
    client.builder_artifact(order, &file).await.context("fetching the artifact")?;
    let progress = |line: String| log.say(line);
    workshop.build(order, &file, stop, &progress).await
}

/// Tells the end until the server took it, or refuses it.
async fn finish(client: &Client, claim: &BuildClaim, outcome: BuildOutcome, shutdown: &CancellationToken) {
    let id = claim.order.id;
    let finish = BuildFinish { claim: claim.claim.clone(), outcome };
    for _ in 0..FINISH_TRIES {
        match client.builder_finish(id, &finish).await {
            Ok(()) => return,
            Err(error) if error.is_passing() => tracing::warn!(build = %id, "its end is not told yet: {error}"),
            Err(error) => return tracing::warn!(build = %id, "its end was not taken: {error}"),
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY_PAUSE) => {}
            () = shutdown.cancelled() => return,
        }
    }
}
