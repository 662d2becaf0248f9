//! `Idempotency-Key`: a POST that arrives twice acts once.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dinp_common::limits;
use dinp_store::Idempotency;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::AppState;
use super::deploys::location;
use super::problem::{ApiError, ApiResult};
use crate::auth::Principal;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Characters of a key that the store keeps.
const KEY_LENGTH: usize = 255;
/// POSTs whose answer is a secret, which is stored nowhere: doing one twice makes a second token, which does no harm.
const SECRET: [&str; 3] = ["/v1/sessions", "/v1/tokens", "/v1/links"];

/// Runs a request with a key once. The same key with the same request gets the first one's answer.
pub async fn once(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Some(key) = request.headers().get(KEY).cloned() else { return next.run(request).await };
    let Some(principal) = request.extensions().get::<Principal>().cloned() else { return next.run(request).await };
    let path = request.uri().path();
    if request.method() != Method::POST || SECRET.contains(&path) || path.starts_with("/v1/builder/") {
        return next.run(request).await;
    }
    match keyed(&state, &principal.token, &key, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn keyed(state: &AppState, principal: &str, key: &HeaderValue, request: Request, next: Next) -> ApiResult<Response> {
    let key = key.to_str().ok().filter(|key| (1..=KEY_LENGTH).contains(&key.len())).ok_or_else(|| {
        let detail = format!("an Idempotency-Key has 1 to {KEY_LENGTH} plain characters");
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail)
    })?;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, limits::JSON_BODY_BYTES).await.map_err(|_| {
        let detail = format!("the request's body is larger than {} KiB, or ended early", limits::JSON_BODY_BYTES / 1024);
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    })?;
    let asked = parts.uri.path_and_query().map(|asked| asked.as_str()).unwrap_or_default();
    let fingerprint = hex::encode(Sha256::new().chain_update(asked).chain_update([0]).chain_update(&body).finalize());
    match state.store.idempotency_begin(principal, key, &fingerprint).await? {
        Idempotency::New => {
            let (state, principal, key) = (state.clone(), principal.to_owned(), key.to_owned());
            to_the_end(state, principal, key, Request::from_parts(parts, Body::from(body)), next).await
        }
        Idempotency::Replay { status, body } => Ok(replay(status, body)),
        Idempotency::InProgress => {
            Err(ApiError::conflict("request_in_progress", "the first request with this key is still under way")
                .suggest("ask again in a moment with the same key"))
        }
        Idempotency::Reused => {
            Err(ApiError::unprocessable("idempotency_key_reused", "this Idempotency-Key came with another request before")
                .suggest("use a new key for a new request"))
        }
    }
}

/// Runs a request whose caller may go away: it is the one who asks again with the same key, and then finds an answer.
async fn to_the_end(state: AppState, principal: String, key: String, request: Request, next: Next) -> ApiResult<Response> {
    let (store, by, named) = (state.store.clone(), principal.clone(), key.clone());
    let run = async move { keep(&state, &principal, &key, next.run(request).await).await };
    match tokio::spawn(run).await {
        Ok(kept) => kept,
        Err(panicked) => {
            store.idempotency_forget(&by, &named).await?;
            std::panic::resume_unwind(panicked.into_panic())
        }
    }
}

/// Keeps a success for the next time; after a refusal nothing was done, and the key is free again.
async fn keep(state: &AppState, principal: &str, key: &str, response: Response) -> ApiResult<Response> {
    if !response.status().is_success() {
        state.store.idempotency_forget(principal, key).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("the answer could not be kept: {error}"))
    })?;
    let text = String::from_utf8_lossy(&body);
    if let Err(error) = state.store.idempotency_finish(principal, key, parts.status.as_u16(), &text).await {
        // The change itself is stored: answering an error now would invite a second one.
        tracing::warn!(%error, "the answer to a request with a key was not kept");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(status: u16, body: String) -> Response {
    #[derive(Deserialize)]
    struct Place {
        app: dinp_common::name::AppName,
        number: dinp_common::deploy::DeployNo,
    }
    let place = serde_json::from_str::<Place>(&body).ok();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(place) = place.and_then(|place| location(&place.app, place.number)) {
        headers.insert(header::LOCATION, place);
    }
    response
}
