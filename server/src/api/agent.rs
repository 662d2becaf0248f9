//! Where agents connect: the wire protocol of `dinp_common::wire` over a WebSocket.

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use dinp_common::limits;

use super::AppState;
use crate::agents;
use crate::auth::Principal;

pub async fn connect(
    State(state): State<AppState>,
    Extension(principal): Extension<Principal>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let ours = state.store.cluster();
    let upgrade = upgrade.max_message_size(limits::WIRE_MESSAGE_BYTES).max_frame_size(limits::WIRE_MESSAGE_BYTES);
    upgrade.on_upgrade(move |socket| agents::serve(socket, principal.name, state.cluster, state.store, ours, state.shutdown))
}
