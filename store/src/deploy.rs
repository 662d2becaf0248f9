//! Deploys: reading them, and what a finished build does to one.

use dinp_common::build::BuildId;
use dinp_common::deploy::{Deploy, DeployNo, DeployPhase, DeployState, Failure, Wanted};
use dinp_common::event::Severity;
use dinp_common::name::AppName;
use dinp_common::plan::Note;
use dinp_common::release::ReleaseNo;
use sqlx::any::AnyRow;

use crate::build::Build;
use crate::dialect::Durability;
use crate::error::StoreError;
use crate::event::PLATFORM;
use crate::intent::NewRelease;
use crate::open::Store;
use crate::row::{Columns as _, long, to_json};
use crate::session::{Session, sql};

impl Store {
    pub async fn deploy_get(&self, app: &AppName, number: DeployNo) -> Result<Option<Deploy>, StoreError> {
        let mut session = self.single().await?;
        let result = session.deploy(app, number).await;
        session.end(result).await
    }

    /// The app's deploys, newest first; with `before`, those older than it.
    pub async fn deploy_list(&self, app: &AppName, before: Option<DeployNo>, limit: u32) -> Result<Vec<Deploy>, StoreError> {
        let before = before.map_or(i64::MAX, |before| long(before.0));
        let query = sql("SELECT * FROM deploys WHERE app = ? AND number < ? ORDER BY number DESC LIMIT ?");
        let mut session = self.single().await?;
        let result = session.rows(query.bind(app.as_str()).bind(before).bind(long(limit))).await;
        session.end(result).await?.iter().map(deploy_from).collect()
    }

    pub async fn deploy_latest(&self, app: &AppName) -> Result<Option<Deploy>, StoreError> {
        Ok(self.deploy_list(app, None, 1).await?.pop())
    }

    /// The deploy that a build is for.
    pub async fn deploy_of_build(&self, build: BuildId) -> Result<Option<Deploy>, StoreError> {
        let mut session = self.single().await?;
        let result =
            session.row(sql("SELECT * FROM deploys WHERE build = ? ORDER BY number DESC LIMIT 1").bind(long(build.0))).await;
        session.end(result).await?.as_ref().map(deploy_from).transpose()
    }

    /// Running deploys whose build has ended and which still wait for its release: what a server that stopped in
    /// between has left to do.
    pub async fn deploy_list_built(&self) -> Result<Vec<(Deploy, Build)>, StoreError> {
        let mut session = self.snapshot().await?;
        let result = built(&mut session).await;
        session.end(result).await
    }

    /// The build is done: stores the release it leads to and moves on to the rollout. `None` if the deploy is not
    /// waiting for its build any more; then nothing is stored.
    pub async fn deploy_release(&self, app: &AppName, number: DeployNo, new: NewRelease) -> Result<Option<Deploy>, StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = release(&mut session, app, number, new).await;
        session.end(result).await
    }

    /// Ends a running deploy as failed, with its build and a line in the timeline. `false` if it has ended already.
    pub async fn deploy_fail(&self, app: &AppName, number: DeployNo, failure: Failure) -> Result<bool, StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = fail(&mut session, app, number, failure).await;
        session.end(result).await
    }
}

impl Session {
    pub(crate) async fn deploy(&mut self, app: &AppName, number: DeployNo) -> Result<Option<Deploy>, StoreError> {
        let query = sql("SELECT * FROM deploys WHERE app = ? AND number = ?").bind(app.as_str()).bind(long(number.0));
        self.row(query).await?.as_ref().map(deploy_from).transpose()
    }

    /// The newest deploy of an app, running or not.
    pub(crate) async fn deploy_newest(&mut self, app: &AppName) -> Result<Option<Deploy>, StoreError> {
        let query = sql("SELECT * FROM deploys WHERE app = ? ORDER BY number DESC LIMIT 1").bind(app.as_str());
        self.row(query).await?.as_ref().map(deploy_from).transpose()
    }

    pub(crate) async fn deploy_insert(&mut self, deploy: &Deploy) -> Result<(), StoreError> {
        let query =
            sql("INSERT INTO deploys (app, number, kind, state, phase, strategy, from_release, to_release, generation, build, \
             settings, spent_ms, deadline_ms, failed_starts, failure, note, author, created_at, before_instances, \
             before_stopped, paused, paused_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(deploy.app.as_str())
            .bind(long(deploy.number.0))
            .bind(deploy.kind.as_str())
            .bind(deploy.state.as_str())
            .bind(deploy.phase.as_str())
            .bind(deploy.strategy.as_str())
            .bind(deploy.from.map(|release| long(release.0)))
            .bind(deploy.to.map(|release| long(release.0)))
            .bind(long(deploy.generation))
            .bind(deploy.build.map(|build| long(build.0)))
            .bind(to_json("settings", &deploy.settings)?)
            .bind(long(deploy.spent_ms))
            .bind(long(deploy.deadline_ms))
            .bind(long(deploy.failed_starts))
            .bind(deploy.failure.as_ref().map(|failure| to_json("failure", failure)).transpose()?)
            .bind(&deploy.note)
            .bind(&deploy.author)
            .bind(&deploy.created_at)
            .bind(deploy.before.map(|before| long(before.instances)))
            .bind(deploy.before.map(|before| long(before.stopped)))
            .bind(&deploy.paused)
            .bind(long(deploy.paused_ms));
        self.execute(query).await.map(|_| ())
    }

    /// Ends a running deploy, and its build where that is still under way. `false` if it has ended already.
    pub(crate) async fn deploy_finish(
        &mut self,
        app: &AppName,
        number: DeployNo,
        state: DeployState,
        failure: Option<&Failure>,
    ) -> Result<bool, StoreError> {
        if !self.deploy_end(app, number, state, failure).await? {
            return Ok(false);
        }
        let Some(deploy) = self.deploy(app, number).await? else { return Ok(true) };
        if let Some(build) = deploy.build {
            self.build_give_up(build, &format!("deploy {number} of {app} has ended: {state}")).await?;
        }
        if state == DeployState::Cancelled {
            self.take_back(&deploy).await?;
        }
        Ok(true)
    }

    /// Ends a running deploy whose build, if it has one, goes on for another.
    pub(crate) async fn deploy_end(
        &mut self,
        app: &AppName,
        number: DeployNo,
        state: DeployState,
        failure: Option<&Failure>,
    ) -> Result<bool, StoreError> {
        let failure = failure.map(|failure| to_json("failure", failure)).transpose()?;
        let query = sql("UPDATE deploys SET state = ?, failure = ? WHERE app = ? AND number = ? AND state = 'running'");
        let query = query.bind(state.as_str()).bind(failure).bind(app.as_str()).bind(long(number.0));
        Ok(self.execute(query).await? == 1)
    }
}

async fn built(session: &mut Session) -> Result<Vec<(Deploy, Build)>, StoreError> {
    let query = sql("SELECT d.* FROM deploys d JOIN builds b ON b.id = d.build \
         WHERE d.state = 'running' AND d.phase = 'build' AND b.state IN ('succeeded', 'failed') ORDER BY d.app");
    let mut answer = Vec::new();
    // A deploy that cannot be read waits until it is corrected, and holds up no other one.
    for deploy in session.rows(query).await?.iter().filter_map(|row| deploy_from(row).ok()) {
        let build = match deploy.build {
            Some(build) => session.build(build).await?,
            None => None,
        };
        answer.extend(build.map(|build| (deploy, build)));
    }
    Ok(answer)
}

async fn release(session: &mut Session, app: &AppName, number: DeployNo, new: NewRelease) -> Result<Option<Deploy>, StoreError> {
    let Some(mut deploy) = session.deploy(app, number).await? else { return Ok(None) };
    if deploy.state != DeployState::Running || deploy.phase != DeployPhase::Build {
        return Ok(None);
    }
    let to = session.release_insert(app, new.by(&deploy.author)).await?;
    deploy.to = Some(to);
    deploy.phase = DeployPhase::Rollout;
    // The deadline is the rollout's: the build before it, with a base perhaps made for it, had its own.
    deploy.deadline_ms += deploy.spent_ms;
    let query = sql("UPDATE deploys SET to_release = ?, phase = 'rollout', deadline_ms = ? WHERE app = ? AND number = ?");
    session.execute(query.bind(long(to.0)).bind(long(deploy.deadline_ms)).bind(app.as_str()).bind(long(number.0))).await?;
    Ok(Some(deploy))
}

async fn fail(session: &mut Session, app: &AppName, number: DeployNo, failure: Failure) -> Result<bool, StoreError> {
    if !session.deploy_finish(app, number, DeployState::Failed, Some(&failure)).await? {
        return Ok(false);
    }
    let note = Note {
        severity: Severity::Error,
        kind: "deploy_failed",
        app: Some(app.clone()),
        instance: None,
        node: None,
        text: format!("Deploy {number} of {app} failed: {}", failure.why),
        detail: failure.output,
    };
    session.event_insert(&note, PLATFORM).await?;
    Ok(true)
}

/// Deploys of an older program have no such columns' values.
fn wanted_from(row: &AnyRow) -> Result<Option<Wanted>, StoreError> {
    let stopped = row.number_opt::<i64>("before_stopped")?;
    Ok(row.number_opt("before_instances")?.map(|instances| Wanted { instances, stopped: stopped == Some(1) }))
}

pub(crate) fn deploy_from(row: &AnyRow) -> Result<Deploy, StoreError> {
    Ok(Deploy {
        app: row.parsed("app")?,
        number: DeployNo(row.number("number")?),
        kind: row.parsed("kind")?,
        state: row.parsed("state")?,
        phase: row.parsed("phase")?,
        strategy: row.parsed("strategy")?,
        from: row.number_opt("from_release")?.map(ReleaseNo),
        before: wanted_from(row)?,
        to: row.number_opt("to_release")?.map(ReleaseNo),
        generation: row.number("generation")?,
        build: row.number_opt("build")?.map(BuildId),
        settings: row.json("settings")?,
        spent_ms: row.number("spent_ms")?,
        deadline_ms: row.number("deadline_ms")?,
        failed_starts: row.number("failed_starts")?,
        paused: row.text_opt("paused")?,
        paused_ms: row.number("paused_ms")?,
        failure: row.json_opt("failure")?,
        note: row.text("note")?,
        author: row.text("author")?,
        created_at: row.text("created_at")?,
    })
}
