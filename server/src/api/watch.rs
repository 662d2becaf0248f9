//! `GET /v1/watch`: what changed, so that a page knows what to read again.

use axum::extract::State;
use axum::response::Response;
use dinp_common::api::WatchEvent;
use futures_util::{StreamExt, stream};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::{AppState, stream as streams};

/// Follow changes. Each event names what to read again; `resync` means everything, and comes first, since changes
/// before the connection are in no event.
#[utoipa::path(get, path = "/v1/watch", tag = "events", operation_id = "watch",
    responses((status = 200, description = "server-sent events", body = WatchEvent, content_type = "text/event-stream")))]
pub async fn watch(State(state): State<AppState>) -> Response {
    let changes = BroadcastStream::new(state.cluster.watch()).map(|event| match event {
        Ok(event) => event,
        // The queue of a slow reader is bounded: what it missed is read anew, not kept.
        Err(BroadcastStreamRecvError::Lagged(_)) => WatchEvent::Resync,
    });
    streams::events(stream::once(async { WatchEvent::Resync }).chain(changes).map(Ok), &state.shutdown)
}
