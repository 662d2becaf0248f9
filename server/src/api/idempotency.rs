//! `Idempotency-Key`: a POST that arrives twice acts once.
//!
//! What must not happen twice is that a deploy begins, and the store notes it with the key in the same transaction. So a
//! request whose answer was lost, by an error after its commit or with the server, is looked up and not repeated. To
//! cancel, pause or resume a deploy by its number twice is to do it once.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dinp_store::{Idempotency, RequestKey};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::AppState;
use super::changes::Begun;
use super::deploys::{self, location};
use super::extract::whole;
use super::problem::{ApiError, ApiResult};
use super::under_way::Turn;
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
    match keyed(&state, principal.token, &key, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn keyed(state: &AppState, principal: String, key: &HeaderValue, request: Request, next: Next) -> ApiResult<Response> {
    let key = key.to_str().ok().filter(|key| (1..=KEY_LENGTH).contains(&key.len())).ok_or_else(|| {
        let detail = format!("an Idempotency-Key has 1 to {KEY_LENGTH} plain characters");
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", detail)
    })?;
    let key = RequestKey { principal, key: key.to_owned() };
    let (parts, body) = request.into_parts();
    let body = whole(Request::from_parts(parts.clone(), body), state).await?;
    let asked = parts.uri.path_and_query().map(|asked| asked.as_str()).unwrap_or_default();
    let fingerprint = hex::encode(Sha256::new().chain_update(asked).chain_update([0]).chain_update(&body).finalize());
    let turn = state.under_way.begin(&key).ok_or_else(in_progress)?;
    match state.store.idempotency_begin(&key, &fingerprint).await? {
        Idempotency::New => {
            let mut request = Request::from_parts(parts, Body::from(body));
            request.extensions_mut().insert(key.clone());
            to_the_end(state.clone(), key, turn, request, next).await
        }
        Idempotency::Begun { app, number } => {
            let begun = deploys::read(state, &app, number).await?;
            Ok(replayed(keep(state, &key, Begun(begun).into_response()).await?))
        }
        Idempotency::Replay { status, body } => Ok(replay(status, body)),
        Idempotency::InProgress => Err(in_progress()),
        Idempotency::Reused => {
            Err(ApiError::unprocessable("idempotency_key_reused", "this Idempotency-Key came with another request before")
                .suggest("use a new key for a new request"))
        }
    }
}

fn in_progress() -> ApiError {
    ApiError::conflict("request_in_progress", "the first request with this key is still under way")
        .suggest("ask again in a moment with the same key")
}

/// Runs a request whose caller may go away: it is the one who asks again with the same key, and then finds an answer.
async fn to_the_end(state: AppState, key: RequestKey, turn: Turn, request: Request, next: Next) -> ApiResult<Response> {
    let run = async move {
        let kept = keep(&state, &key, next.run(request).await).await;
        drop(turn);
        kept
    };
    match tokio::spawn(run).await {
        Ok(kept) => kept,
        // Its key tells the next one whether it had begun anything.
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// Keeps a success for the next time. After a failure the key is free again if nothing was changed, which the store
/// knows: an error may also be an outcome that nobody learned.
async fn keep(state: &AppState, key: &RequestKey, response: Response) -> ApiResult<Response> {
    if !response.status().is_success() {
        if let Err(error) = state.store.idempotency_forget(key).await {
            tracing::warn!(%error, "the key of a failed request stays; the next one with it looks what was done");
        }
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("the answer could not be kept: {error}"))
    })?;
    let text = String::from_utf8_lossy(&body);
    if let Err(error) = state.store.idempotency_finish(key, parts.status.as_u16(), &text).await {
        tracing::warn!(%error, "the answer to a request with a key was not kept; the next one with it looks what was done");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
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
    if let Some(place) = place.and_then(|place| location(&place.app, place.number)) {
        headers.insert(header::LOCATION, place);
    }
    replayed(response)
}
