//! People hold a running deploy back, let it go on, or cancel it.

use axum::extract::State;
use axum::{Extension, Json};
use dinp_common::api::{DeployView, PauseRequest, WatchEvent};
use dinp_common::deploy::{Deploy, DeployNo, DeployState};
use dinp_common::problem::Problem;
use dinp_store::HoldError;

use super::deploys::{self, DeployPath};
use super::extract::{Body, Named};
use super::problem::{ApiError, ApiResult};
use super::{AppState, apps, validate};
use crate::auth::Principal;

/// Cancels a running deploy: its build stops, the last good release takes its place again, start-first as ever, and
/// the number of instances is what it was. Without effect on one that is cancelled already.
#[utoipa::path(post, path = "/v1/apps/{app}/deploys/{number}/cancel", tag = "deploys", operation_id = "deploy_cancel",
    params(("app" = String, Path, description = "the app's name"), ("number" = u32, Path, description = "the deploy's number")),
    responses((status = 200, body = DeployView), (status = "default", body = Problem)))]
pub async fn deploy_cancel(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    Named(path): Named<DeployPath>,
) -> ApiResult<Json<DeployView>> {
    apps::known(&state, &path.app).await?;
    let deploy = state.store.deploy_cancel(&path.app, DeployNo(path.number), &by.user).await?;
    shown(&state, &deploy).await
}

/// Holds a running deploy back: nothing of it starts or is withdrawn until it is resumed, and its time stands still.
#[utoipa::path(post, path = "/v1/apps/{app}/deploys/{number}/pause", tag = "deploys", operation_id = "deploy_pause",
    params(("app" = String, Path, description = "the app's name"), ("number" = u32, Path, description = "the deploy's number")),
    request_body = PauseRequest, responses((status = 200, body = DeployView), (status = "default", body = Problem)))]
pub async fn deploy_pause(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    Named(path): Named<DeployPath>,
    Body(request): Body<PauseRequest>,
) -> ApiResult<Json<DeployView>> {
    apps::known(&state, &path.app).await?;
    request.reason.as_deref().map_or(Ok(()), |reason| validate::reason("/reason", reason))?;
    let deploy = state.store.deploy_pause(&path.app, DeployNo(path.number), &by.user, request.reason.as_deref()).await?;
    shown(&state, &deploy).await
}

/// Lets a paused deploy go on where it was. Without effect on one that is not paused.
#[utoipa::path(post, path = "/v1/apps/{app}/deploys/{number}/resume", tag = "deploys", operation_id = "deploy_resume",
    params(("app" = String, Path, description = "the app's name"), ("number" = u32, Path, description = "the deploy's number")),
    responses((status = 200, body = DeployView), (status = "default", body = Problem)))]
pub async fn deploy_resume(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    Named(path): Named<DeployPath>,
) -> ApiResult<Json<DeployView>> {
    apps::known(&state, &path.app).await?;
    let deploy = state.store.deploy_resume(&path.app, DeployNo(path.number), &by.user).await?;
    shown(&state, &deploy).await
}

/// Sets everything going that follows from the change, and answers the deploy as it is now.
async fn shown(state: &AppState, deploy: &Deploy) -> ApiResult<Json<DeployView>> {
    state.cluster.announce(WatchEvent::App { app: deploy.app.to_string() });
    state.cluster.nudge();
    state.builds.moved();
    let app = state.store.app_get(&deploy.app).await?;
    Ok(Json(deploys::view(state, &state.cluster.snapshot(), deploy, app.as_ref(), true).await?))
}

impl From<HoldError> for ApiError {
    fn from(error: HoldError) -> Self {
        let detail = error.to_string();
        match error {
            HoldError::NotFound { .. } => Self::not_found("deploy_not_found", detail),
            HoldError::Ended(deploy) => {
                let refused = Self::conflict("deploy_ended", detail);
                match deploy.state {
                    DeployState::Succeeded => refused.suggest(format!("to undo it: dinp rollback -a {}", deploy.app)),
                    DeployState::Superseded => refused.suggest(format!("its successor: dinp status {}", deploy.app)),
                    DeployState::Running | DeployState::Failed | DeployState::Cancelled => refused,
                }
            }
            HoldError::Never { instead, .. } => Self::conflict("cannot_hold", detail).suggest(instead),
            HoldError::Store(error) => error.into(),
        }
    }
}
