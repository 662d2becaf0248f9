//! Builds: a queue that builders claim from.
//!
//! A claim is a text the claimer draws. Who holds the claim may log and finish; the server, which measures how long a
//! claimer has been silent, takes the build away with [`Store::build_requeue`].

use std::collections::BTreeSet;

use dinp_common::build::{BuildId, BuildOrder, BuildOutcome, BuildState};
use dinp_common::digest::Digest;
use dinp_common::name::AppName;
use sqlx::any::AnyRow;

use crate::clock;
use crate::counter::Counter;
use crate::dialect::Durability;
use crate::error::StoreError;
use crate::intent::NewBuild;
use crate::open::Store;
use crate::row::{Columns as _, long, to_json};
use crate::session::{Session, sql};

/// Builders that may go silent over one build before it is given up: an artifact that brings builders down must not
/// do so for ever.
const ATTEMPTS: u32 = 3;

/// A build as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub order: BuildOrder,
    pub state: BuildState,
    /// Builders that have begun it.
    pub attempts: u32,
    /// Set with the states `succeeded` and `failed`.
    pub outcome: Option<BuildOutcome>,
    /// RFC 3339, for people only.
    pub created_at: String,
}

/// What became of a build whose builder went silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeued {
    /// It waits for another builder.
    Queued,
    /// It was tried often enough, and has failed.
    GaveUp,
    /// The claim was not the one that holds, or the build has ended.
    Stale,
}

impl Store {
    pub async fn build_get(&self, id: BuildId) -> Result<Option<Build>, StoreError> {
        let mut session = self.single().await?;
        let result = session.build(id).await;
        session.end(result).await
    }

    /// Gives the oldest waiting build to the claimer; `None` if none waits.
    pub async fn build_claim(&self, claim: &str) -> Result<Option<BuildOrder>, StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = take(&mut session, claim).await;
        session.end(result).await
    }

    /// Builds under way, with the claims that hold them.
    pub async fn build_running(&self) -> Result<Vec<(BuildId, String)>, StoreError> {
        let mut session = self.single().await?;
        let result = session.rows(sql("SELECT id, claim FROM builds WHERE state = 'running' ORDER BY id")).await;
        let rows = session.end(result).await?;
        rows.iter().map(|row| Ok((BuildId(row.number("id")?), row.text("claim")?))).collect()
    }

    /// The artifacts of all builds that wait or run.
    pub async fn artifact_list_needed(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let mut session = self.single().await?;
        let result = session.rows(sql("SELECT artifact FROM builds WHERE state IN ('queued', 'running')")).await;
        session.end(result).await?.iter().map(|row| row.parsed("artifact")).collect()
    }

    /// Takes a build away from a claimer that went silent.
    pub async fn build_requeue(&self, id: BuildId, claim: &str) -> Result<Requeued, StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = requeue(&mut session, id, claim).await;
        session.end(result).await
    }

    /// Stores the outcome. `false` if the claim does not hold (any more). Saying it twice is as good as once, and the
    /// first outcome stands.
    pub async fn build_finish(&self, id: BuildId, claim: &str, outcome: &BuildOutcome) -> Result<bool, StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = finish(&mut session, id, claim, outcome).await;
        session.end(result).await
    }

    /// Ends a build that waits or runs; its builder learns of it with its next line. `false` if it had ended.
    pub async fn build_cancel(&self, id: BuildId) -> Result<bool, StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = session.build_give_up(id, "it was cancelled").await;
        session.end(result).await
    }
}

impl Session {
    pub(crate) async fn build(&mut self, id: BuildId) -> Result<Option<Build>, StoreError> {
        let row = self.row(sql("SELECT * FROM builds WHERE id = ?").bind(long(id.0))).await?;
        row.as_ref().map(build_from).transpose()
    }

    pub(crate) async fn build_insert(&mut self, app: &AppName, new: NewBuild) -> Result<BuildId, StoreError> {
        let id = self.counter_next(Counter::Build).await?;
        let query =
            sql("INSERT INTO builds (id, app, state, artifact, artifact_bytes, file_name, kind, start_command, attempts, \
             log_lines, created_at) VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, 0, 0, ?)")
            .bind(long(id))
            .bind(app.as_str())
            .bind(new.artifact.as_str())
            .bind(long(new.artifact_bytes))
            .bind(&new.file_name)
            .bind(new.kind.map(|kind| kind.as_str()))
            .bind(new.start.as_ref().map(|start| to_json("start_command", start)).transpose()?)
            .bind(clock::now());
        self.execute(query).await?;
        self.build_logs_trim(app).await?;
        u32::try_from(id).map(BuildId).map_err(|_| StoreError::unreadable("value", "build numbers have run out"))
    }

    /// Ends a build that waits or runs as failed.
    pub(crate) async fn build_give_up(&mut self, id: BuildId, why: &str) -> Result<bool, StoreError> {
        let outcome = BuildOutcome::Failed { why: why.to_owned(), fix: "deploy again".to_owned() };
        let query =
            sql("UPDATE builds SET state = 'failed', claim = NULL, outcome = ? WHERE id = ? AND state IN ('queued', 'running')");
        Ok(self.execute(query.bind(to_json("outcome", &outcome)?).bind(long(id.0))).await? == 1)
    }
}

async fn take(session: &mut Session, claim: &str) -> Result<Option<BuildOrder>, StoreError> {
    let build = loop {
        let oldest = session.row(sql("SELECT * FROM builds WHERE state = 'queued' ORDER BY id LIMIT 1")).await?;
        let Some(row) = oldest else { return Ok(None) };
        match build_from(&row) {
            Ok(build) => break build,
            // It can never be built, and must not stand in the way of those behind it.
            Err(error @ StoreError::Unreadable { .. }) => {
                session.build_give_up(BuildId(row.number("id")?), &error.to_string()).await?;
            }
            Err(error) => return Err(error),
        }
    };
    let query = sql("UPDATE builds SET state = 'running', claim = ?, attempts = attempts + 1 WHERE id = ?");
    session.execute(query.bind(claim).bind(long(build.order.id.0))).await?;
    Ok(Some(build.order))
}

async fn requeue(session: &mut Session, id: BuildId, claim: &str) -> Result<Requeued, StoreError> {
    let query = sql("SELECT * FROM builds WHERE id = ? AND claim = ? AND state = 'running'");
    let row = session.row(query.bind(long(id.0)).bind(claim)).await?;
    let Some(build) = row.as_ref().map(build_from).transpose()? else { return Ok(Requeued::Stale) };
    if build.attempts >= ATTEMPTS {
        let why = format!("{ATTEMPTS} builders took it on and fell silent");
        session.build_give_up(id, &why).await?;
        return Ok(Requeued::GaveUp);
    }
    session.execute(sql("UPDATE builds SET state = 'queued', claim = NULL WHERE id = ?").bind(long(id.0))).await?;
    Ok(Requeued::Queued)
}

async fn finish(session: &mut Session, id: BuildId, claim: &str, outcome: &BuildOutcome) -> Result<bool, StoreError> {
    let state = match outcome {
        BuildOutcome::Image { .. } => BuildState::Succeeded,
        BuildOutcome::Failed { .. } => BuildState::Failed,
    };
    let query = sql("UPDATE builds SET state = ?, outcome = ? WHERE id = ? AND claim = ? AND state = 'running'");
    let query = query.bind(state.as_str()).bind(to_json("outcome", outcome)?).bind(long(id.0)).bind(claim);
    if session.execute(query).await? == 1 {
        return Ok(true);
    }
    let ended = sql("SELECT id FROM builds WHERE id = ? AND claim = ?").bind(long(id.0)).bind(claim);
    Ok(session.row(ended).await?.is_some())
}

fn build_from(row: &AnyRow) -> Result<Build, StoreError> {
    let order = BuildOrder {
        id: BuildId(row.number("id")?),
        app: row.parsed("app")?,
        artifact: row.parsed("artifact")?,
        artifact_bytes: row.number("artifact_bytes")?,
        file_name: row.text("file_name")?,
        kind: row.parsed_opt("kind")?,
        start: row.json_opt("start_command")?,
    };
    Ok(Build {
        order,
        state: row.parsed("state")?,
        attempts: row.number("attempts")?,
        outcome: row.json_opt("outcome")?,
        created_at: row.text("created_at")?,
    })
}
