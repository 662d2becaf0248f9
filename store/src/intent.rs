//! What people ask of an app: one transaction from the wish to the deploy that carries it out, safe on disk before
//! the caller hears of it.

use dinp_common::api::Settings;
use dinp_common::app::App;
use dinp_common::build::BuildId;
use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployPhase, DeployState, Strategy, Wanted};
use dinp_common::digest::Digest;
use dinp_common::event::Severity;
use dinp_common::kind::Kind;
use dinp_common::name::AppName;
use dinp_common::plan::{Desired, Note};
use dinp_common::release::{Release, ReleaseNo, RunSpec};

use crate::clock;
use crate::desired::load;
use crate::dialect::Durability;
use crate::error::{IntentError, StoreError};
use crate::event::PLATFORM;
use crate::idempotency::RequestKey;
use crate::open::Store;
use crate::session::Session;

/// A change to one app, as somebody wants it.
#[derive(Debug, Clone)]
pub struct Intent {
    pub app: AppName,
    /// Make the app if it does not exist.
    pub create: bool,
    /// Refuse if the app has another revision; an app that does not exist has revision 0.
    pub expect_revision: Option<u64>,
    /// The live release that `release` was made from: refuse if another has become live meanwhile, which it would undo.
    pub based_on: Option<ReleaseNo>,
    pub kind: DeployKind,
    pub strategy: Strategy,
    /// What it is, for people: `deploy of shop.war`.
    pub note: String,
    pub author: String,
    /// Milliseconds of work after which it fails.
    pub deadline_ms: u64,
    pub instances: Option<u32>,
    pub stopped: Option<bool>,
    pub deleted: bool,
    /// The release to lead to, where it is known already.
    pub release: Option<NewRelease>,
    /// What has to be built first, where it is not. Never together with `release`.
    pub build: Option<NewBuild>,
    /// Kept with the deploy, for the release its build will make.
    pub settings: Settings,
    /// New instances of the same release.
    pub restart: bool,
    /// The key of the request that asks for it, taken before: the deploy is noted with it, or does not begin.
    pub request: Option<RequestKey>,
}

/// A release before it has a number.
#[derive(Debug, Clone)]
pub struct NewRelease {
    pub spec: RunSpec,
    pub note: String,
    pub build: Option<BuildId>,
}

/// A build before it has an id.
#[derive(Debug, Clone)]
pub struct NewBuild {
    pub artifact: Digest,
    pub artifact_bytes: u64,
    pub file_name: String,
    pub kind: Option<Kind>,
    pub start: Option<Vec<String>>,
}

impl NewRelease {
    /// The release, to be numbered when it is inserted.
    pub(crate) fn by(self, author: &str) -> Release {
        Release {
            number: ReleaseNo(0),
            spec: self.spec,
            note: self.note,
            build: self.build,
            author: author.to_owned(),
            created_at: clock::now(),
        }
    }
}

impl Store {
    /// Records what somebody wants and begins the deploy that brings it about. A deploy that was running is superseded.
    pub async fn deploy_begin(&self, intent: Intent) -> Result<Deploy, IntentError> {
        if intent.release.is_some() && intent.build.is_some() {
            let why = "a deploy leads to a given release or to the one its build makes, not to both".to_owned();
            return Err(StoreError::Conflict { why }.into());
        }
        let mut session = self.writing(Durability::Durable).await?;
        let result = begin_noted(&mut session, intent).await;
        session.end(result).await
    }
}

impl Store {
    /// What would be wanted if the intent were begun, and its deploy; nothing is kept of either. The ids and numbers
    /// are those it would get now.
    pub async fn deploy_preview(&self, intent: Intent) -> Result<(Deploy, Desired), IntentError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = begun_and_read(&mut session, intent).await;
        session.take_back_all(result).await
    }
}

async fn begun_and_read(session: &mut Session, intent: Intent) -> Result<(Deploy, Desired), IntentError> {
    let deploy = begin(session, intent).await?;
    Ok((deploy, load(session).await?))
}

async fn begin_noted(session: &mut Session, mut intent: Intent) -> Result<Deploy, IntentError> {
    let request = intent.request.take();
    let deploy = begin(session, intent).await?;
    if let Some(request) = request {
        session.idempotency_note(&request, &deploy).await?;
    }
    Ok(deploy)
}

async fn begin(session: &mut Session, intent: Intent) -> Result<Deploy, IntentError> {
    let (app, wanted) = wanted_app(session, &intent).await?;
    let before = session.deploy_newest(&app.name).await?;
    let number = DeployNo(before.as_ref().map_or(0, |deploy| deploy.number.0) + 1);
    // Above what the last deploy used too: what a failed or superseded restart has left is not new.
    let newest_generation = before.as_ref().map_or(0, |deploy| deploy.generation).max(app.generation);
    let generation = if intent.restart { newest_generation + 1 } else { app.generation };
    let before = before.filter(|deploy| deploy.state == DeployState::Running);
    let carried = before.clone().filter(|before| carries_on(&intent, before));
    if let Some(before) = &before {
        supersede(session, before, number, carried.is_some()).await?;
    }
    if let Some(before) = carried {
        let deploy = Deploy { number, note: intent.note, author: intent.author, created_at: clock::now(), ..before };
        let fresh = Deploy { kind: intent.kind, spent_ms: 0, paused_ms: 0, deadline_ms: intent.deadline_ms, ..deploy };
        return insert(session, fresh).await;
    }
    let (to, phase, build) = match (intent.release, intent.build) {
        (Some(new), _) => (Some(session.release_insert(&app.name, new.by(&intent.author)).await?), DeployPhase::Rollout, None),
        (None, Some(new)) => (None, DeployPhase::Build, Some(session.build_insert(&app.name, new).await?)),
        (None, None) => (app.live, DeployPhase::Rollout, None),
    };
    let deploy = Deploy {
        app: app.name,
        number,
        kind: intent.kind,
        state: DeployState::Running,
        phase,
        strategy: intent.strategy,
        from: app.live,
        // What a deploy before it left unfinished was never reached, so there is no returning to it.
        before: before.map_or(wanted, |before| before.before),
        to,
        generation,
        build,
        settings: intent.settings,
        spent_ms: 0,
        deadline_ms: intent.deadline_ms,
        failed_starts: 0,
        paused: None,
        paused_ms: 0,
        failure: None,
        note: intent.note,
        author: intent.author,
        created_at: clock::now(),
    };
    insert(session, deploy).await
}

/// Another number of instances is no other wish for what they run: a scale takes over what the deploy before it was
/// doing, its build or its rollout, instead of turning it back. What people hold back is not taken over: it would go
/// on though nobody let it, so the scale is of the live release.
fn carries_on(intent: &Intent, before: &Deploy) -> bool {
    let moves_to_a_release =
        matches!(before.kind, DeployKind::Release | DeployKind::Rollback | DeployKind::Restart | DeployKind::Scale);
    let of_instances_alone = intent.kind == DeployKind::Scale && intent.release.is_none() && intent.build.is_none();
    of_instances_alone && moves_to_a_release && before.paused.is_none()
}

async fn insert(session: &mut Session, deploy: Deploy) -> Result<Deploy, IntentError> {
    session.deploy_insert(&deploy).await?;
    session.history_trim(&deploy.app, deploy.number.0).await?;
    let text = format!("Deploy {} of {}: {}", deploy.number, deploy.app, deploy.note);
    session.event_insert(&note("deploy_started", &deploy.app, text), &deploy.author).await?;
    Ok(deploy)
}

/// The app as the intent leaves it, stored; and what was wanted of it before.
async fn wanted_app(session: &mut Session, intent: &Intent) -> Result<(App, Option<Wanted>), IntentError> {
    let name = &intent.app;
    let stored = session.app(name).await?;
    let current = stored.as_ref().map_or(0, |app| app.revision);
    if stored.is_none() && !intent.create {
        return Err(IntentError::NotFound { app: name.clone() });
    }
    if stored.as_ref().is_some_and(|app| app.deleted) {
        return Err(IntentError::Deleting { app: name.clone() });
    }
    if let Some(expected) = intent.expect_revision.filter(|expected| *expected != current) {
        return Err(IntentError::Revision { app: name.clone(), expected, current });
    }
    let live = stored.as_ref().and_then(|app| app.live);
    if let Some(base) = intent.based_on.filter(|base| live != Some(*base)) {
        return Err(IntentError::Live { app: name.clone(), base });
    }
    let before = stored.as_ref().map(|app| Wanted { instances: app.instances, stopped: app.stopped });
    let exists = stored.is_some();
    let mut app = stored.unwrap_or_else(|| App::new(name.clone(), clock::now()));
    app.revision += 1;
    app.instances = intent.instances.unwrap_or(app.instances);
    app.stopped = intent.stopped.unwrap_or(app.stopped);
    app.deleted = intent.deleted;
    app.pace = app.pace.with(intent.settings.pace());
    if exists {
        session.app_update(&app).await?;
    } else {
        session.app_insert(&app).await?;
    }
    Ok((app, before))
}

async fn supersede(session: &mut Session, old: &Deploy, by: DeployNo, carried: bool) -> Result<(), StoreError> {
    let text = if carried {
        session.deploy_end(&old.app, old.number, DeployState::Superseded, None).await?;
        format!("Deploy {} of {} goes on as part of {by}", old.number, old.app)
    } else {
        session.deploy_finish(&old.app, old.number, DeployState::Superseded, None).await?;
        format!("Deploy {} of {} was superseded by {by}", old.number, old.app)
    };
    session.event_insert(&note("deploy_superseded", &old.app, text), PLATFORM).await
}

fn note(kind: &'static str, app: &AppName, text: String) -> Note {
    Note { severity: Severity::Info, kind, app: Some(app.clone()), instance: None, node: None, text, detail: None }
}
