//! People hold a deploy back, let it go on, or cancel it. Each is safe on disk before the caller hears of it.

use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployState, Strategy};
use dinp_common::event::Severity;
use dinp_common::name::AppName;
use dinp_common::plan::Note;

use crate::dialect::Durability;
use crate::error::StoreError;
use crate::open::Store;
use crate::row::long;
use crate::session::{Session, sql};

/// Why a deploy cannot be held back or cancelled. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    #[error("{app} has no deploy {number}")]
    NotFound { app: AppName, number: DeployNo },
    /// It has ended, otherwise than the caller wants.
    #[error("deploy {} of {} has ended already: {}", .0.number, .0.app, .0.state)]
    Ended(Box<Deploy>),
    /// A deploy of this kind is not to be stopped half-way.
    #[error("{why}")]
    Never { why: String, instead: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Ends a running deploy as cancelled: its build stops, what it wanted of the app is taken back, and the last good
    /// release takes its place again. One that is cancelled already stays so.
    pub async fn deploy_cancel(&self, app: &AppName, number: DeployNo, by: &str) -> Result<Deploy, HoldError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = cancel(&mut session, app, number, by).await;
        session.end(result).await
    }

    /// Holds a running deploy back until it is let go on; `reason` is for those who find it so. One that is paused
    /// already keeps its first reason.
    pub async fn deploy_pause(
        &self,
        app: &AppName,
        number: DeployNo,
        by: &str,
        reason: Option<&str>,
    ) -> Result<Deploy, HoldError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = pause(&mut session, app, number, by, reason).await;
        session.end(result).await
    }

    /// Lets a paused deploy go on. One that is not paused goes on as it does.
    pub async fn deploy_resume(&self, app: &AppName, number: DeployNo, by: &str) -> Result<Deploy, HoldError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = resume(&mut session, app, number, by).await;
        session.end(result).await
    }
}

impl Session {
    /// What a cancelled deploy wanted of its app beside the release is wanted no more.
    pub(crate) async fn take_back(&mut self, deploy: &Deploy) -> Result<(), StoreError> {
        let Some(before) = deploy.before else { return Ok(()) };
        let query = sql("UPDATE apps SET instances = ?, stopped = ?, revision = revision + 1 WHERE name = ?");
        let query = query.bind(long(before.instances)).bind(long(before.stopped)).bind(deploy.app.as_str());
        self.execute(query).await.map(|_| ())
    }

    async fn deploy_hold(&mut self, deploy: &Deploy, paused: Option<&str>) -> Result<(), StoreError> {
        let query = sql("UPDATE deploys SET paused = ? WHERE app = ? AND number = ? AND state = 'running'");
        let query = query.bind(paused).bind(deploy.app.as_str()).bind(long(deploy.number.0));
        self.execute(query).await.map(|_| ())
    }

    async fn deploy_told(&mut self, kind: &'static str, deploy: &Deploy, text: String, by: &str) -> Result<(), StoreError> {
        let app = Some(deploy.app.clone());
        self.event_insert(&Note { severity: Severity::Info, kind, app, instance: None, node: None, text, detail: None }, by).await
    }
}

async fn known(session: &mut Session, app: &AppName, number: DeployNo) -> Result<Deploy, HoldError> {
    session.deploy(app, number).await?.ok_or_else(|| HoldError::NotFound { app: app.clone(), number })
}

fn running(deploy: Deploy) -> Result<Deploy, HoldError> {
    if deploy.state.is_final() { Err(HoldError::Ended(Box::new(deploy))) } else { Ok(deploy) }
}

async fn cancel(session: &mut Session, app: &AppName, number: DeployNo, by: &str) -> Result<Deploy, HoldError> {
    let deploy = known(session, app, number).await?;
    if deploy.state == DeployState::Cancelled {
        return Ok(deploy);
    }
    let deploy = running(deploy)?;
    if deploy.kind == DeployKind::Delete {
        let why = format!("{app} is being deleted, and its instances leave already");
        return Err(HoldError::Never { why, instead: "wait until it is gone, then deploy it again".to_owned() });
    }
    session.deploy_finish(app, number, DeployState::Cancelled, None).await?;
    let then = match deploy.from {
        Some(from) => format!("; {from} serves on"),
        None => String::new(),
    };
    session.deploy_told("deploy_cancelled", &deploy, format!("Deploy {number} of {app} is cancelled{then}"), by).await?;
    known(session, app, number).await
}

async fn pause(
    session: &mut Session,
    app: &AppName,
    number: DeployNo,
    by: &str,
    reason: Option<&str>,
) -> Result<Deploy, HoldError> {
    let deploy = running(known(session, app, number).await?)?;
    if matches!(deploy.kind, DeployKind::Stop | DeployKind::Delete) {
        let why = format!("a {} is not paused half-way: what has left is gone", deploy.kind);
        return Err(HoldError::Never { why, instead: format!("cancel it: dinp cancel {app}") });
    }
    if deploy.strategy == Strategy::Recreate {
        let why = "a deploy that stops old instances first (strategy recreate) is not paused: nothing might serve meanwhile";
        return Err(HoldError::Never { why: why.to_owned(), instead: format!("cancel it: dinp cancel {app}") });
    }
    if deploy.paused.is_some() {
        return Ok(deploy);
    }
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty()).map(|reason| format!(": {reason}"));
    let words = format!("paused by {by}{}", reason.unwrap_or_default());
    session.deploy_hold(&deploy, Some(&words)).await?;
    session.deploy_told("deploy_paused", &deploy, format!("Deploy {number} of {app} is {words}"), by).await?;
    Ok(Deploy { paused: Some(words), ..deploy })
}

async fn resume(session: &mut Session, app: &AppName, number: DeployNo, by: &str) -> Result<Deploy, HoldError> {
    let deploy = running(known(session, app, number).await?)?;
    if deploy.paused.is_none() {
        return Ok(deploy);
    }
    session.deploy_hold(&deploy, None).await?;
    session.deploy_told("deploy_resumed", &deploy, format!("Deploy {number} of {app} goes on"), by).await?;
    Ok(Deploy { paused: None, ..deploy })
}
