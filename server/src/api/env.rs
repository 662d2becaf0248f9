//! The environment of an app: read, and changed by a new release on the newest live one.

use axum::extract::State;
use axum::{Extension, Json};
use dinp_common::api::{DeployView, EnvChange, EnvView};
use dinp_common::deploy::DeployKind;
use dinp_common::problem::Problem;
use dinp_store::{Intent, NewRelease};

use super::changes::{self, Begun, StrategyQuery, begin};
use super::extract::{App, Asked, Body, Terms};
use super::problem::{ApiError, ApiResult};
use super::{AppState, apps, validate};
use crate::auth::Principal;
use crate::explain;
use crate::room::{self, Demand};
use crate::spec;

/// The live release's environment. Sealed values are not answered.
#[utoipa::path(get, path = "/v1/apps/{app}/env", tag = "apps", operation_id = "env_get",
    params(("app" = String, Path, description = "the app's name")),
    responses((status = 200, body = EnvView), (status = "default", body = Problem)))]
pub async fn env_get(State(state): State<AppState>, App(name): App) -> ApiResult<Json<EnvView>> {
    let app = apps::known(&state, &name).await?;
    let live = apps::live(&state, &state.cluster.snapshot(), &app).await?;
    Ok(Json(explain::env_view(&live.map(|release| release.spec.env).unwrap_or_default())))
}

/// Sets and unsets variables, and replaces the instances.
#[utoipa::path(patch, path = "/v1/apps/{app}/env", tag = "apps", operation_id = "env_change",
    params(("app" = String, Path, description = "the app's name"), StrategyQuery), request_body = EnvChange,
    responses((status = 202, body = DeployView), (status = "default", body = Problem)))]
pub async fn env_change(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    terms: Terms,
    App(name): App,
    Asked(query): Asked<StrategyQuery>,
    Body(change): Body<EnvChange>,
) -> ApiResult<Begun> {
    let app = apps::known(&state, &name).await?;
    let live = changes::served(&state, &app).await?;
    let mut spec = live.spec;
    let before = spec.env.clone();
    if let Some(missing) = change.unset.iter().find(|key| !spec.env.contains_key(*key)) {
        return Err(ApiError::unprocessable("env_not_set", format!("{missing} is not set, so it cannot be unset"))
            .suggest(format!("dinp env -a {name} lists what is set")));
    }
    change.unset.iter().for_each(|key| drop(spec.env.remove(key)));
    spec::set_env(&mut spec.env, &change.set);
    if spec.env == before {
        return Err(ApiError::unprocessable("nothing_changed", "the environment is like this already"));
    }
    validate::env(&spec.env)?;
    let strategy = query.strategy.unwrap_or(changes::STRATEGY);
    let replace = changes::needs_room(&state, &name, strategy, app.pace, app.instances).filter(|_| !app.stopped);
    let demand = Demand { instances: app.instances, memory: spec.memory, replace };
    room::check(&state.cluster.snapshot(), &name, demand)?;
    let note = note(&change);
    let release = Some(NewRelease { spec, note: note.clone(), build: live.build });
    let based_on = Some(live.number);
    begin(&state, Intent { release, based_on, strategy, ..changes::intent(&name, DeployKind::Release, note, &by, terms) }).await
}

/// Names only: a value may be a password.
fn note(change: &EnvChange) -> String {
    let set: Vec<&str> = change.set.keys().map(|key| key.as_str()).collect();
    let unset: Vec<&str> = change.unset.iter().map(|key| key.as_str()).collect();
    match (set.is_empty(), unset.is_empty()) {
        (false, true) => format!("set {}", set.join(", ")),
        (true, false) => format!("unset {}", unset.join(", ")),
        _ => format!("set {}; unset {}", set.join(", "), unset.join(", ")),
    }
}
