//! Changes to an app that is there: scale, restart, rollback, stop, start. Each is a deploy.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use dinp_common::api::{DeployView, RollbackRequest, ScaleRequest, Settings, WatchEvent};
use dinp_common::app::App as AppRecord;
use dinp_common::deploy::{Deploy, DeployKind, DeployState, Strategy};
use dinp_common::instance::Want;
use dinp_common::name::AppName;
use dinp_common::pace::Pace;
use dinp_common::problem::Problem;
use dinp_common::rehearsal::PlanView;
use dinp_common::release::{Release, ReleaseNo};
use dinp_store::{Intent, NewRelease};

use super::extract::{App, Asked, Body, Terms};
use super::problem::{ApiError, ApiResult};
use super::rehearsal::{self, Answer, DryRunQuery};
use super::{AppState, apps, deploys, validate};
use crate::auth::Principal;
use crate::explain::{self, Told};
use crate::room::{self, Demand};

/// How instances are replaced where nobody says.
pub const STRATEGY: Strategy = Strategy::Rolling;
/// Work after which a change fails where nobody says: many slow starts, one after the other.
const DEADLINE_MS: u64 = 600_000;
/// Deploys looked back over for the release that served before.
const DEPLOYS_BACK: u32 = 200;

/// A change that has begun: 202, and where to follow it.
#[derive(Debug)]
pub struct Begun(pub DeployView);

impl IntoResponse for Begun {
    fn into_response(self) -> Response {
        let location = deploys::location(&self.0.app, self.0.number);
        let mut response = (StatusCode::ACCEPTED, Json(self.0)).into_response();
        response.headers_mut().extend(location.map(|location| (header::LOCATION, location)));
        response
    }
}

#[derive(Debug, Clone, Copy, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StrategyQuery {
    /// `rolling` where nothing is said; `recreate` stops old instances first.
    pub strategy: Option<Strategy>,
}

/// An intent that changes nothing yet.
pub fn intent(app: &AppName, kind: DeployKind, note: String, by: &Principal, terms: Terms) -> Intent {
    Intent {
        app: app.clone(),
        create: false,
        expect_revision: terms.seen,
        based_on: None,
        kind,
        strategy: STRATEGY,
        note,
        author: by.user.clone(),
        deadline_ms: DEADLINE_MS,
        instances: None,
        stopped: None,
        deleted: false,
        release: None,
        build: None,
        settings: Settings::default(),
        restart: false,
        request: terms.request,
    }
}

/// How running instances give way, as far as it takes room: a rolling change that may do without one of those that run
/// needs none beside. What is missing already cannot be done without once more.
pub fn needs_room(state: &AppState, app: &AppName, strategy: Strategy, pace: Pace, instances: u32) -> Option<Strategy> {
    let snapshot = state.cluster.snapshot();
    let run = snapshot.desired.instances_of(app).filter(|instance| instance.want == Want::Run).count();
    let floor = instances - state.config.policy.unavailable(pace, instances);
    let does_without = strategy == Strategy::Rolling && run > floor as usize;
    (!does_without).then_some(strategy)
}

/// Stores what is wanted and sets everything going.
pub async fn begin(state: &AppState, intent: Intent) -> ApiResult<Begun> {
    let deploy = state.store.deploy_begin(intent).await?;
    state.cluster.announce(WatchEvent::App { app: deploy.app.to_string() });
    state.cluster.announce(WatchEvent::Lists);
    state.cluster.nudge();
    state.builds.moved();
    Ok(Begun(shown(state, &deploy).await))
}

/// A deploy that has just begun. It is stored: if it cannot be read back, the answer says less, since an error now would
/// invite a second one.
async fn shown(state: &AppState, deploy: &Deploy) -> DeployView {
    let snapshot = state.cluster.snapshot();
    let whole = async {
        let app = state.store.app_get(&deploy.app).await?;
        deploys::view(state, &snapshot, deploy, app.as_ref(), true).await
    };
    whole.await.unwrap_or_else(|error| {
        tracing::warn!(?error, app = %deploy.app, deploy = %deploy.number, "a deploy has begun and cannot be read back");
        let app = snapshot.desired.app(&deploy.app);
        explain::deploy_view(deploy, Told { snapshot: &snapshot, app, build: None, newest: true, url: state.url(&deploy.app) })
    })
}

/// Changes how many instances run, how much memory each has, or both.
#[utoipa::path(post, path = "/v1/apps/{app}/scale", tag = "deploys", operation_id = "app_scale",
    params(("app" = String, Path, description = "the app's name"), DryRunQuery), request_body = ScaleRequest,
    responses((status = 202, body = DeployView), (status = 200, body = PlanView, description = "with dry_run"),
        (status = "default", body = Problem)))]
pub async fn scale(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    terms: Terms,
    App(name): App,
    Asked(query): Asked<DryRunQuery>,
    Body(request): Body<ScaleRequest>,
) -> ApiResult<Answer> {
    let app = apps::known(&state, &name).await?;
    if request.instances.is_none() && request.memory.is_none() {
        return Err(ApiError::unprocessable("nothing_asked", "neither instances nor memory is given")
            .suggest("send {\"instances\": 3}, {\"memory\": \"256MiB\"}, or both"));
    }
    request.instances.map_or(Ok(()), |n| validate::instances("/instances", n))?;
    request.memory.map_or(Ok(()), |size| validate::memory("/memory", size))?;
    let live = served(&state, &app).await?;
    let instances = request.instances.unwrap_or(app.instances);
    let memory = request.memory.unwrap_or(live.spec.memory);
    let strategy = request.strategy.unwrap_or(STRATEGY);
    let changed = memory != live.spec.memory;
    let replace = needs_room(&state, &name, strategy, app.pace, instances).filter(|_| changed);
    let demand = Demand { instances, memory, replace };
    room::check(&state.cluster.snapshot(), &name, demand)?;
    let note = match (request.instances, changed) {
        (Some(n), true) => format!("scale to {n} instances with {memory}"),
        (Some(n), false) => format!("scale to {n} {}", if n == 1 { "instance" } else { "instances" }),
        (None, _) => format!("scale to {memory}"),
    };
    let spec = dinp_common::release::RunSpec { memory, ..live.spec };
    let release = changed.then(|| NewRelease { spec, note: note.clone(), build: live.build });
    let based_on = changed.then_some(live.number);
    let intent = Intent {
        strategy,
        instances: request.instances,
        release,
        based_on,
        ..intent(&name, DeployKind::Scale, note, &by, terms)
    };
    rehearsal::answer(&state, intent, query).await
}

/// Replaces every instance by a new one of the same release.
#[utoipa::path(post, path = "/v1/apps/{app}/restart", tag = "deploys", operation_id = "app_restart",
    params(("app" = String, Path, description = "the app's name"), StrategyQuery),
    responses((status = 202, body = DeployView), (status = "default", body = Problem)))]
pub async fn restart(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    terms: Terms,
    App(name): App,
    Asked(query): Asked<StrategyQuery>,
) -> ApiResult<Begun> {
    let app = apps::known(&state, &name).await?;
    let live = served(&state, &app).await?;
    if app.stopped {
        return Err(ApiError::conflict("app_stopped", format!("{name} is stopped, so there is nothing to restart"))
            .suggest(format!("dinp start {name}")));
    }
    let strategy = query.strategy.unwrap_or(STRATEGY);
    let replace = needs_room(&state, &name, strategy, app.pace, app.instances);
    let demand = Demand { instances: app.instances, memory: live.spec.memory, replace };
    room::check(&state.cluster.snapshot(), &name, demand)?;
    let intent = intent(&name, DeployKind::Restart, "restart".to_owned(), &by, terms);
    begin(&state, Intent { restart: true, strategy, ..intent }).await
}

/// Makes a new release equal to an old one: by default to the one that served before.
#[utoipa::path(post, path = "/v1/apps/{app}/rollback", tag = "deploys", operation_id = "app_rollback",
    params(("app" = String, Path, description = "the app's name"), StrategyQuery), request_body = RollbackRequest,
    responses((status = 202, body = DeployView), (status = "default", body = Problem)))]
pub async fn rollback(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    terms: Terms,
    App(name): App,
    Asked(query): Asked<StrategyQuery>,
    Body(request): Body<RollbackRequest>,
) -> ApiResult<Begun> {
    let app = apps::known(&state, &name).await?;
    served(&state, &app).await?;
    let to = match request.to {
        Some(to) => to,
        None => before_live(&state, &app).await?,
    };
    if app.live == Some(to) {
        return Err(ApiError::unprocessable("already_live", format!("{to} serves already")));
    }
    let old = state.store.release_get(&name, to).await?;
    let old = old.ok_or_else(|| {
        ApiError::not_found("release_not_found", format!("{name} has no release {to}"))
            .suggest(format!("dinp releases -a {name}"))
    })?;
    let snapshot = state.cluster.snapshot();
    if !explain::release_view(&snapshot, &old, app.live).kept {
        return Err(ApiError::unprocessable("image_gone", format!("the image of {to} is not kept any more"))
            .suggest("roll back to a later release, or deploy the artifact again"));
    }
    let strategy = query.strategy.unwrap_or(STRATEGY);
    let replace = needs_room(&state, &name, strategy, app.pace, app.instances);
    room::check(&snapshot, &name, Demand { instances: app.instances, memory: old.spec.memory, replace })?;
    let note = format!("rollback to {to}");
    let release = Some(NewRelease { spec: old.spec, note: note.clone(), build: old.build });
    begin(&state, Intent { release, strategy, ..intent(&name, DeployKind::Rollback, note, &by, terms) }).await
}

/// Stops all instances. Releases and settings stay.
#[utoipa::path(post, path = "/v1/apps/{app}/stop", tag = "deploys", operation_id = "app_stop",
    params(("app" = String, Path, description = "the app's name")),
    responses((status = 202, body = DeployView), (status = "default", body = Problem)))]
pub async fn stop(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    terms: Terms,
    App(name): App,
) -> ApiResult<Begun> {
    apps::known(&state, &name).await?;
    let intent = intent(&name, DeployKind::Stop, "stop".to_owned(), &by, terms);
    begin(&state, Intent { stopped: Some(true), ..intent }).await
}

/// Starts a stopped app with as many instances as it had.
#[utoipa::path(post, path = "/v1/apps/{app}/start", tag = "deploys", operation_id = "app_start",
    params(("app" = String, Path, description = "the app's name")),
    responses((status = 202, body = DeployView), (status = "default", body = Problem)))]
pub async fn start(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    terms: Terms,
    App(name): App,
) -> ApiResult<Begun> {
    let app = apps::known(&state, &name).await?;
    let live = served(&state, &app).await?;
    let demand = Demand { instances: app.instances, memory: live.spec.memory, replace: None };
    room::check(&state.cluster.snapshot(), &name, demand)?;
    let intent = intent(&name, DeployKind::Start, "start".to_owned(), &by, terms);
    begin(&state, Intent { stopped: Some(false), ..intent }).await
}

/// The live release, which every change but a deploy builds on.
pub async fn served(state: &AppState, app: &AppRecord) -> ApiResult<Release> {
    apps::live(state, &state.cluster.snapshot(), app).await?.ok_or_else(|| {
        let detail = format!("no release of {} was proven good yet, so there is nothing to change", app.name);
        ApiError::conflict("nothing_live", detail).suggest(format!("deploy first: dinp deploy PATH -a {}", app.name))
    })
}

/// The release that served before the live one: what the deploy that made it live came from.
async fn before_live(state: &AppState, app: &AppRecord) -> ApiResult<ReleaseNo> {
    let deploys = state.store.deploy_list(&app.name, None, DEPLOYS_BACK).await?;
    let made_live = |deploy: &&dinp_common::deploy::Deploy| {
        deploy.state == DeployState::Succeeded && deploy.to == app.live && deploy.from != app.live
    };
    let before = deploys.iter().find(made_live).and_then(|deploy| deploy.from);
    before.ok_or_else(|| {
        let detail = format!("nothing of {} served before its live release", app.name);
        ApiError::conflict("nothing_before", detail).suggest(format!("name a release: dinp releases -a {}", app.name))
    })
}
