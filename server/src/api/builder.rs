//! A builder's side: take a build, fetch its artifact, write its log, say what came out.

use std::time::Duration;

use axum::Json;
use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dinp_common::api::{BuildClaim, BuildFinish, BuildLogLines};
use dinp_common::build::{BuildId, BuildOrder};
use dinp_common::limits;
use dinp_common::problem::Problem;
use tokio_util::io::ReaderStream;

use super::extract::{Asked, Body, Named};
use super::problem::{ApiError, ApiResult};
use super::{AppState, builds};

/// Bytes read from an artifact at once.
const READ_BUFFER: usize = 256 * 1024;

#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ClaimQuery {
    /// Seconds to wait for a build, 60 at most.
    #[serde(default)]
    wait: u64,
}

/// Takes the oldest waiting build; 204 if none came within the wait. The claim lapses 15 s after its last renewal.
#[utoipa::path(post, path = "/v1/builder/claim", tag = "builder", operation_id = "builder_claim", params(ClaimQuery),
    responses((status = 200, body = BuildClaim), (status = 204), (status = "default", body = Problem)))]
pub async fn claim(State(state): State<AppState>, Asked(query): Asked<ClaimQuery>) -> ApiResult<Response> {
    let wait = Duration::from_secs(query.wait.min(limits::LONG_POLL_SECONDS));
    match state.builds.claim(wait, &state.shutdown).await? {
        Some(claim) => Ok(Json(claim).into_response()),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

/// The artifact of a build.
#[utoipa::path(get, path = "/v1/builder/builds/{id}/artifact", tag = "builder", operation_id = "builder_artifact",
    params(("id" = u32, Path, description = "the build's number")),
    responses((status = 200, content_type = "application/octet-stream"), (status = "default", body = Problem)))]
pub async fn artifact(State(state): State<AppState>, Named(id): Named<u32>) -> ApiResult<Response> {
    let build = builds::known(&state, BuildId(id)).await?;
    let path = state.artifacts.path(&build.order.artifact);
    let file = tokio::fs::File::open(&path).await.map_err(|error| unopened(&build.order, &error))?;
    let mut response = HttpBody::from_stream(ReaderStream::with_capacity(file, READ_BUFFER)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(build.order.artifact_bytes));
    Ok(response)
}

/// Only an artifact that is certainly not there is unknown; any other one may be read when it is asked for again.
fn unopened(order: &BuildOrder, error: &std::io::Error) -> ApiError {
    let artifact = format!("the artifact {} of {}", order.artifact.short(), order.id);
    if error.kind() == std::io::ErrorKind::NotFound {
        return ApiError::not_found("artifact_unknown", format!("{artifact} is not here any more"))
            .suggest("deploy the file again");
    }
    tracing::error!(build = %order.id, artifact = %order.artifact, %error, "an artifact cannot be read");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "artifact_unreadable", format!("{artifact} cannot be read: {error}"))
        .suggest("look at the server's disk, then deploy again")
        .now("apps keep serving")
}

/// Appends lines to a build's log and renews its claim, also without lines.
#[utoipa::path(post, path = "/v1/builder/builds/{id}/log", tag = "builder", operation_id = "builder_log",
    params(("id" = u32, Path, description = "the build's number")), request_body = BuildLogLines,
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn log(
    State(state): State<AppState>,
    Named(id): Named<u32>,
    Body(lines): Body<BuildLogLines>,
) -> ApiResult<StatusCode> {
    let held = state.builds.log(BuildId(id), &lines.claim, &lines.lines).await?;
    held_or_lost(BuildId(id), held)
}

/// Ends a build with what came out of it.
#[utoipa::path(post, path = "/v1/builder/builds/{id}/finish", tag = "builder", operation_id = "builder_finish",
    params(("id" = u32, Path, description = "the build's number")), request_body = BuildFinish,
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn finish(
    State(state): State<AppState>,
    Named(id): Named<u32>,
    Body(finish): Body<BuildFinish>,
) -> ApiResult<StatusCode> {
    let held = state.builds.finish(BuildId(id), &finish.claim, &finish.outcome).await?;
    held_or_lost(BuildId(id), held)
}

fn held_or_lost(id: BuildId, held: bool) -> ApiResult<StatusCode> {
    if held {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::conflict("claim_lost", format!("{id} is not this builder's any more: it was cancelled, or the claim lapsed"))
        .suggest("stop building it"))
}
