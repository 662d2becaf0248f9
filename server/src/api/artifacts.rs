//! Uploads: streamed to disk, named by their content.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use dinp_common::api::{ArtifactView, DeployView, Settings};
use dinp_common::digest::Digest;
use dinp_common::kind::Kind;
use dinp_common::limits;
use dinp_common::problem::Problem;
use dinp_common::size::human_bytes;
use dinp_store::NewBuild;

use super::changes::Begun;
use super::extract::{App, Asked, Named, Terms};
use super::problem::{ApiError, ApiResult};
use super::{AppState, deploys, validate};
use crate::artifacts::{ReceiveError, Stored};
use crate::auth::Principal;

#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UploadQuery {
    /// The file's name: a hint for its kind, and what people read.
    #[serde(default)]
    file_name: String,
}

/// Uploads a file as it is. Deploying it is a second call.
#[utoipa::path(put, path = "/v1/artifacts", tag = "artifacts", operation_id = "artifact_put", params(UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = ArtifactView), (status = "default", body = Problem)))]
pub async fn artifact_put(
    State(state): State<AppState>,
    Asked(query): Asked<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<(StatusCode, Json<ArtifactView>)> {
    let Stored { digest, bytes } = receive(&state, &headers, body).await?;
    let file_name = validate::file_name(&query.file_name);
    Ok((StatusCode::CREATED, Json(ArtifactView { digest, bytes, file_name })))
}

/// Whether an artifact is here: 200 or 404.
#[utoipa::path(head, path = "/v1/artifacts/{digest}", tag = "artifacts", operation_id = "artifact_head",
    params(("digest" = String, Path, description = "sha256:...")), responses((status = 200), (status = 404)))]
pub async fn artifact_head(State(state): State<AppState>, Named(digest): Named<String>) -> ApiResult<StatusCode> {
    let digest = Digest::parse(&digest)?;
    match state.artifacts.size(&digest).await {
        Ok(Some(_)) => {
            // Whoever asks is about to deploy it without sending it again.
            state.builds.uploaded(&digest);
            Ok(StatusCode::OK)
        }
        Ok(None) => Err(ApiError::not_found("artifact_unknown", format!("there is no artifact {}", digest.short()))),
        Err(error) => Err(failed(ReceiveError::Io(error))),
    }
}

#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DeployQuery {
    /// The file's name: a hint for its kind, and what people read.
    #[serde(default)]
    file_name: String,
    /// What the file is, where its content does not say.
    kind: Option<Kind>,
}

/// Uploads a file and deploys it: `curl -T app.tgz`.
#[utoipa::path(put, path = "/v1/apps/{app}/artifact", tag = "deploys", operation_id = "app_artifact_put",
    params(("app" = String, Path, description = "the app's name"), DeployQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 202, body = DeployView), (status = "default", body = Problem)))]
pub async fn app_artifact_put(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
    terms: Terms,
    App(name): App,
    Asked(query): Asked<DeployQuery>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Begun> {
    let plan = deploys::prepare(&state, &name, Settings::default()).await?;
    let Stored { digest, bytes } = receive(&state, &headers, body).await?;
    let file_name = validate::file_name(&query.file_name);
    let build = NewBuild { artifact: digest, artifact_bytes: bytes, file_name, kind: query.kind, start: None };
    deploys::deploy_artifact(&state, plan, build, &by, terms).await
}

async fn receive(state: &AppState, headers: &HeaderMap, body: Body) -> ApiResult<Stored> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limits::ARTIFACT_BYTES) {
        return Err(failed(ReceiveError::TooLarge));
    }
    let stored = state.artifacts.receive(body.into_data_stream()).await.map_err(failed)?;
    state.builds.uploaded(&stored.digest);
    Ok(stored)
}

fn failed(error: ReceiveError) -> ApiError {
    let words = error.to_string();
    match error {
        ReceiveError::Empty => {
            ApiError::unprocessable("artifact_empty", "the upload is empty").suggest("send the file as the body")
        }
        ReceiveError::TooLarge => {
            let most = human_bytes(limits::ARTIFACT_BYTES);
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "artifact_too_large", format!("an artifact has at most {most}"))
        }
        ReceiveError::Cut(_) => {
            ApiError::new(StatusCode::BAD_REQUEST, "upload_cut", words).suggest("send it again").now("nothing of it was kept")
        }
        ReceiveError::DiskFull(_) => ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", words)
            .suggest("make room on the server's disk, then send it again")
            .now("apps keep serving, and nothing of the upload was kept"),
        ReceiveError::Io(_) => {
            tracing::error!(error = words, "an upload cannot be written");
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "artifact_unwritable", words).now("nothing of it was kept")
        }
    }
}
