//! The timeline.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use dinp_common::api::{Page, WatchEvent};
use dinp_common::event::Event;
use dinp_common::limits;
use dinp_common::name::AppName;
use dinp_common::problem::Problem;
use dinp_store::StoreError;
use futures_util::{Stream, stream};
use tokio::sync::broadcast;

use super::extract::Asked;
use super::page::{bounded, page, whole};
use super::problem::ApiResult;
use super::{AppState, stream as streams};

/// How often a followed timeline looks again when nothing was announced: another server may have written.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Of this app only.
    #[param(value_type = Option<String>)]
    app: Option<AppName>,
    /// Events on the page; 50 where nothing is said, 200 at most.
    limit: Option<u32>,
    /// Older than the event with this id: the `next_cursor` of the page before.
    before: Option<u64>,
    /// Newer than the event with this id.
    after: Option<u64>,
    /// New events as they come, oldest first: after `after`, or from now on.
    #[serde(default)]
    follow: bool,
}

/// What happened and why, newest first; with `follow`, one line of JSON per new event, oldest first.
#[utoipa::path(get, path = "/v1/events", tag = "events", operation_id = "event_list", params(EventQuery),
    responses((status = 200, body = Page<Event>), (status = "default", body = Problem)))]
pub async fn event_list(
    State(state): State<AppState>,
    Asked(query): Asked<EventQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let app = query.app.as_ref();
    if query.follow {
        let after = match query.after {
            Some(after) => after,
            None => state.store.event_list(None, None, None, 1).await?.first().map_or(0, |event| event.id),
        };
        let changes = state.cluster.watch();
        let following = Following { state: state.clone(), app: query.app, after, changes };
        return Ok(streams::lines(&headers, following.events(), &state.shutdown));
    }
    let limit = bounded(query.limit)?;
    if query.after.is_some() {
        let mut events = state.store.event_list(app, query.before, query.after, limit).await?;
        events.reverse();
        return Ok(Json(whole(events)).into_response());
    }
    let events = state.store.event_list(app, query.before, None, limit + 1).await?;
    Ok(Json(page(events, limit, |event| event.id.to_string())).into_response())
}

struct Following {
    state: AppState,
    app: Option<AppName>,
    after: u64,
    changes: broadcast::Receiver<WatchEvent>,
}

impl Following {
    fn events(self) -> impl Stream<Item = Result<Event, StoreError>> + Send {
        streams::spread(stream::unfold(Some(self), |following| async move {
            let mut following = following?;
            match following.more().await {
                Ok(events) => Some((Ok(events), Some(following))),
                Err(error) => {
                    tracing::warn!(%error, "the timeline cannot be read on");
                    Some((Err(error), None))
                }
            }
        }))
    }

    async fn more(&mut self) -> Result<Vec<Event>, StoreError> {
        loop {
            let events = self.state.store.event_list(self.app.as_ref(), None, Some(self.after), limits::PAGE_ITEMS).await?;
            if let Some(last) = events.last() {
                self.after = last.id;
                return Ok(events);
            }
            // Whatever changed, or even if an announcement was missed: the store is read again.
            let _ = tokio::time::timeout(LOOK_AGAIN, self.changes.recv()).await;
        }
    }
}
