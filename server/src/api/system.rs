//! What the platform says of itself.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use dinp_common::api::VersionView;

use super::AppState;

/// The server's version, and where apps are served. Needs no token.
#[utoipa::path(get, path = "/version", tag = "platform", operation_id = "version", security(()),
    responses((status = 200, body = VersionView)))]
pub async fn version(State(state): State<AppState>) -> Json<VersionView> {
    Json(VersionView {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cluster: state.store.cluster().to_string(),
        domain: state.config.domain.to_string(),
        port: state.config.apps_port,
    })
}

/// The OpenAPI 3.1 document.
pub fn openapi(json: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], json).into_response()
}
