//! Deploys: beginning one from an artifact or an image, and following it.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::{Extension, Json};
use dinp_common::api::{DeployRequest, DeployView, Page, Settings, Source, WatchEvent};
use dinp_common::app::App as AppRecord;
use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployState};
use dinp_common::digest::{Digest, Image};
use dinp_common::kind::Kind;
use dinp_common::limits;
use dinp_common::name::AppName;
use dinp_common::problem::Problem;
use dinp_common::rehearsal::PlanView;
use dinp_common::release::RunSpec;
use dinp_store::{Intent, IntentError, NewBuild, NewRelease};
use tokio::sync::broadcast::Receiver;

use super::changes::{self, Begun, begin};
use super::extract::{App, Asked, Body, Named, Terms};
use super::page::{PageQuery, page};
use super::problem::{ApiError, ApiResult};
use super::rehearsal::{self, Answer, DryRunQuery};
use super::{AppState, apps, validate};
use crate::auth::Principal;
use crate::cluster::{AskError, Snapshot};
use crate::explain::{self, Told};
use crate::room::{self, Demand};
use crate::spec;

/// How often a long poll looks at the store when nothing was announced: another server may have written.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Starts a deploy of an uploaded artifact or of an image. The app is made if it does not exist. A dry run of an artifact
/// needs no upload: its plan is that after the build, and the digest is not looked at.
#[utoipa::path(post, path = "/v1/apps/{app}/deploys", tag = "deploys", operation_id = "deploy_create",
    params(("app" = String, Path, description = "the app's name"), DryRunQuery), request_body = DeployRequest,
    responses((status = 202, body = DeployView), (status = 200, body = PlanView, description = "with dry_run"),
        (status = "default", body = Problem)))]
pub async fn deploy_create(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    terms: Terms,
    App(name): App,
    Asked(query): Asked<DryRunQuery>,
    Body(request): Body<DeployRequest>,
) -> ApiResult<Answer> {
    let plan = prepare(&state, &name, request.settings).await?;
    match request.source {
        Source::Artifact { digest, file_name, .. } if query.dry_run => {
            let image = Image { config: digest, manifest: None, name: "not built yet".to_owned(), bytes: 0 };
            let intent = image_intent(plan, image, &validate::file_name(&file_name), &by, terms);
            rehearsal::rehearse(&state, intent, true).await
        }
        Source::Artifact { digest, file_name, kind, start } => {
            let build = artifact(&state, digest, validate::file_name(&file_name), kind, start).await?;
            deploy_artifact(&state, plan, build, &by, terms).await.map(Answer::begun)
        }
        Source::Image { reference } => {
            validate::reference(&reference)?;
            let image = state.cluster.image(&reference).await.map_err(|error| image_refused(&reference, &error))?;
            rehearsal::answer(&state, image_intent(plan, image, &reference, &by, terms), query).await
        }
    }
}

/// A deploy whose settings are possible.
pub struct Planned {
    app: AppName,
    settings: Settings,
    base: Option<RunSpec>,
}

/// Refuses what can never work, before anything is uploaded or built.
pub async fn prepare(state: &AppState, name: &AppName, settings: Settings) -> ApiResult<Planned> {
    validate::settings(&settings)?;
    let app = state.store.app_get(name).await?;
    if app.as_ref().is_some_and(|app| app.deleted) {
        return Err(IntentError::Deleting { app: name.clone() }.into());
    }
    let pace = app.as_ref().map(|app| app.pace).unwrap_or_default().with(settings.pace());
    validate::pace(&state.config.policy, pace)?;
    let snapshot = state.cluster.snapshot();
    let live = match &app {
        Some(app) => apps::live(state, &snapshot, app).await?,
        None => None,
    };
    let base = live.map(|release| release.spec);
    let instances = settings.instances.or(app.map(|app| app.instances)).unwrap_or(1);
    let demand = Demand {
        instances,
        memory: settings.memory.or(base.as_ref().map(|base| base.memory)).unwrap_or(RunSpec::DEFAULT_MEMORY),
        replace: changes::needs_room(state, name, settings.strategy.unwrap_or(changes::STRATEGY), pace, instances),
    };
    room::check(&snapshot, name, demand)?;
    let mut env = base.as_ref().map(|base| base.env.clone()).unwrap_or_default();
    spec::set_env(&mut env, &settings.env);
    validate::env(&env)?;
    Ok(Planned { app: name.clone(), settings, base })
}

async fn artifact(
    state: &AppState,
    digest: Digest,
    file_name: String,
    kind: Option<Kind>,
    start: Option<Vec<String>>,
) -> ApiResult<NewBuild> {
    if kind == Some(Kind::Image) {
        return Err(ApiError::unprocessable("invalid_kind", "an uploaded file is never of the kind image")
            .suggest("leave the kind away, or deploy with --image REFERENCE"));
    }
    if start.as_ref().is_some_and(|start| start.first().is_none_or(String::is_empty)) {
        return Err(ApiError::unprocessable("invalid_start", "the start command names no program"));
    }
    let size = state.artifacts.size(&digest).await.map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "artifact_unreadable", format!("the artifact cannot be read: {error}"))
    })?;
    let Some(artifact_bytes) = size else {
        return Err(ApiError::unprocessable("artifact_unknown", format!("there is no artifact {}", digest.short()))
            .suggest("upload it first: PUT /v1/artifacts"));
    };
    Ok(NewBuild { artifact: digest, artifact_bytes, file_name, kind, start })
}

/// Begins the deploy of an artifact that is here.
pub async fn deploy_artifact(state: &AppState, plan: Planned, build: NewBuild, by: &Principal, terms: Terms) -> ApiResult<Begun> {
    let note = format!("deploy of {}", build.file_name);
    let digest = build.artifact.clone();
    let intent = Intent { build: Some(build), ..release_intent(plan, note, by, terms) };
    let begun = begin(state, intent).await?;
    state.builds.deployed(&digest);
    Ok(begun)
}

/// A deploy of an image that is known, by the name people gave it.
fn image_intent(plan: Planned, image: Image, named: &str, by: &Principal, terms: Terms) -> Intent {
    let note = format!("deploy of {named}");
    let spec = spec::merged(plan.base.as_ref(), image, None, &plan.settings);
    let release = NewRelease { spec, note: note.clone(), build: None };
    Intent { release: Some(release), ..release_intent(plan, note, by, terms) }
}

fn image_refused(reference: &str, error: &AskError) -> ApiError {
    match error {
        AskError::Refused(why) => ApiError::unprocessable("image_missing", format!("{reference} cannot be run: {why}"))
            .suggest("check the reference with docker images on the node, or push the image to a registry the node can reach"),
        AskError::NotConnected(_) | AskError::Late(_) | AskError::Lost(_) | AskError::NoNode => {
            let detail = format!("no node could be asked what {reference} is: {error}");
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_node", detail).suggest("see dinp nodes, then try again")
        }
    }
}

/// A deploy makes an app run, also one that was stopped.
fn release_intent(plan: Planned, note: String, by: &Principal, terms: Terms) -> Intent {
    let Planned { app, settings, .. } = plan;
    let intent = changes::intent(&app, DeployKind::Release, note, by, terms);
    Intent {
        create: true,
        strategy: settings.strategy.unwrap_or(intent.strategy),
        deadline_ms: settings.timeout_seconds.map_or(intent.deadline_ms, |seconds| u64::from(seconds) * 1000),
        instances: settings.instances,
        stopped: Some(false),
        settings,
        ..intent
    }
}

/// The app's deploys, newest first.
#[utoipa::path(get, path = "/v1/apps/{app}/deploys", tag = "deploys", operation_id = "deploy_list",
    params(("app" = String, Path, description = "the app's name"), PageQuery),
    responses((status = 200, body = Page<DeployView>), (status = "default", body = Problem)))]
pub async fn deploy_list(
    State(state): State<AppState>,
    App(name): App,
    Asked(query): Asked<PageQuery>,
) -> ApiResult<Json<Page<DeployView>>> {
    let app = apps::known(&state, &name).await?;
    let (limit, before) = (query.limit()?, query.cursor::<u32>()?.map(DeployNo));
    let read = state.store.deploy_list(&name, before, limit + 1).await?;
    let deploys = page(read, limit, |deploy| deploy.number.0.to_string());
    let snapshot = state.cluster.snapshot();
    let mut items = Vec::with_capacity(deploys.items.len());
    for (place, deploy) in deploys.items.iter().enumerate() {
        items.push(view(&state, &snapshot, deploy, Some(&app), place == 0 && before.is_none()).await?);
    }
    Ok(Json(Page { items, next_cursor: deploys.next_cursor }))
}

#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct WaitQuery {
    /// Seconds to wait for the deploy's end, 60 at most; answers as it is when they are over.
    #[serde(default)]
    wait: u64,
}

#[derive(Debug, serde::Deserialize)]
pub struct DeployPath {
    pub app: AppName,
    pub number: u32,
}

/// One deploy; with `wait`, when it has ended or the wait is over.
#[utoipa::path(get, path = "/v1/apps/{app}/deploys/{number}", tag = "deploys", operation_id = "deploy_get",
    params(("app" = String, Path, description = "the app's name"), ("number" = u32, Path, description = "the deploy's number"),
        WaitQuery),
    responses((status = 200, body = DeployView), (status = "default", body = Problem)))]
pub async fn deploy_get(
    State(state): State<AppState>,
    Named(path): Named<DeployPath>,
    Asked(query): Asked<WaitQuery>,
) -> ApiResult<Json<DeployView>> {
    let (name, number) = (path.app, DeployNo(path.number));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(query.wait.min(limits::LONG_POLL_SECONDS));
    let mut changes = state.cluster.watch();
    let mut shown = read(&state, &name, number).await?;
    while !shown.state.is_final() && tokio::time::Instant::now() < deadline {
        tokio::select! {
            () = tokio::time::sleep_until(deadline) => {}
            () = moved(&mut changes, &name) => {}
            () = state.shutdown.cancelled() => break,
        }
        shown = again(&state, shown).await?;
    }
    Ok(Json(shown))
}

/// Until something was announced about the app, or it is time to look anyway. Cancel-safe: what is missed is read anew.
async fn moved(changes: &mut Receiver<WatchEvent>, name: &AppName) {
    let announced = async {
        while let Ok(WatchEvent::App { app }) = changes.recv().await {
            if app == name.as_str() {
                return;
            }
        }
    };
    // The store is read again either way.
    let _ = tokio::time::timeout(LOOK_AGAIN, announced).await;
}

/// The deploy as it is now. The record of a deleted app goes with the app: that it is gone is the success.
pub async fn again(state: &AppState, shown: DeployView) -> ApiResult<DeployView> {
    match read(state, &shown.app, shown.number).await {
        Err(_) if shown.kind == DeployKind::Delete && state.store.deploy_get(&shown.app, shown.number).await?.is_none() => {
            Ok(DeployView { state: DeployState::Succeeded, step: "done".to_owned(), ..shown })
        }
        read => read,
    }
}

pub async fn read(state: &AppState, name: &AppName, number: DeployNo) -> ApiResult<DeployView> {
    let app = apps::known(state, name).await?;
    let deploy = state.store.deploy_get(name, number).await?;
    let deploy = deploy.ok_or_else(|| ApiError::not_found("deploy_not_found", format!("{name} has no deploy {number}")))?;
    let newest = state.store.deploy_latest(name).await?.is_some_and(|latest| latest.number == number);
    view(state, &state.cluster.snapshot(), &deploy, Some(&app), newest).await
}

/// The view of an app's newest deploy.
pub async fn latest(state: &AppState, snapshot: &Snapshot, app: &AppRecord) -> ApiResult<Option<DeployView>> {
    match state.store.deploy_latest(&app.name).await? {
        Some(deploy) => Ok(Some(view(state, snapshot, &deploy, Some(app), true).await?)),
        None => Ok(None),
    }
}

pub async fn view(
    state: &AppState,
    snapshot: &Snapshot,
    deploy: &Deploy,
    app: Option<&AppRecord>,
    newest: bool,
) -> ApiResult<DeployView> {
    let build = match deploy.build {
        Some(build) => state.store.build_get(build).await?.as_ref().map(explain::build_view),
        None => None,
    };
    Ok(explain::deploy_view(deploy, Told { snapshot, app, build, newest, url: state.url(&deploy.app) }))
}

pub fn location(app: &AppName, number: DeployNo) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("/v1/apps/{app}/deploys/{}", number.0)).ok()
}
