//! Builds and their logs.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use dinp_common::api::{BuildLine, BuildView};
use dinp_common::build::{BuildId, BuildState};
use dinp_common::problem::Problem;
use dinp_store::{Build, StoreError};
use futures_util::{Stream, stream};
use tokio::sync::watch;

use super::extract::{Asked, Named};
use super::problem::{ApiError, ApiResult};
use super::{AppState, stream as streams};
use crate::explain;

/// Lines read from the store at once.
const LINES: u32 = 500;
/// How often a followed log looks again when nothing was announced: another server may hold the builder.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// One build.
#[utoipa::path(get, path = "/v1/builds/{id}", tag = "builds", operation_id = "build_get",
    params(("id" = u32, Path, description = "the build's number")),
    responses((status = 200, body = BuildView), (status = "default", body = Problem)))]
pub async fn build_get(State(state): State<AppState>, Named(id): Named<u32>) -> ApiResult<Json<BuildView>> {
    Ok(Json(explain::build_view(&known(&state, BuildId(id)).await?)))
}

#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct BuildLogQuery {
    /// Go on with new lines until the build ends.
    #[serde(default)]
    follow: bool,
}

/// A build's log from its first line: one line of JSON per line, or server-sent events.
#[utoipa::path(get, path = "/v1/builds/{id}/log", tag = "builds", operation_id = "build_log",
    params(("id" = u32, Path, description = "the build's number"), BuildLogQuery),
    responses((status = 200, body = BuildLine, content_type = "application/x-ndjson"), (status = "default", body = Problem)))]
pub async fn build_log(
    State(state): State<AppState>,
    Named(id): Named<u32>,
    Asked(query): Asked<BuildLogQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let id = BuildId(id);
    known(&state, id).await?;
    let reading = Reading { moved: state.builds.watch(), state: state.clone(), id, next: 0, follow: query.follow };
    Ok(streams::lines(&headers, reading.lines(), &state.shutdown))
}

pub async fn known(state: &AppState, id: BuildId) -> ApiResult<Build> {
    let build = state.store.build_get(id).await?;
    build.ok_or_else(|| ApiError::not_found("build_not_found", format!("there is no build {id}")))
}

struct Reading {
    state: AppState,
    id: BuildId,
    next: u64,
    follow: bool,
    moved: watch::Receiver<u64>,
}

impl Reading {
    fn lines(self) -> impl Stream<Item = Result<BuildLine, StoreError>> + Send {
        streams::spread(stream::unfold(Some(self), |reading| async move {
            let mut reading = reading?;
            match reading.more().await {
                Ok(lines) => (!lines.is_empty()).then_some((Ok(lines), Some(reading))),
                Err(error) => {
                    tracing::warn!(build = %reading.id, %error, "a build's log cannot be read on");
                    Some((Err(error), None))
                }
            }
        }))
    }

    /// The next lines; none at the end.
    async fn more(&mut self) -> Result<Vec<BuildLine>, StoreError> {
        loop {
            self.moved.mark_unchanged();
            // The state is read before the lines: what is written before a build ends is then never missed.
            let ended = self.state.store.build_get(self.id).await?.is_none_or(|build| match build.state {
                BuildState::Queued | BuildState::Running => false,
                BuildState::Succeeded | BuildState::Failed => true,
            });
            let lines = self.state.store.build_log_read(self.id, self.next, LINES).await?;
            if let Some(last) = lines.last() {
                self.next = last.n + 1;
                return Ok(lines);
            }
            if ended || !self.follow {
                return Ok(lines);
            }
            // Either way the store is read again.
            let _ = tokio::time::timeout(LOOK_AGAIN, self.moved.changed()).await;
        }
    }
}
