//! What happens to every request: an id, one log line, and no panic that closes the connection.

use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::auth::Principal;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a request id that a client may choose; longer ones are replaced, since they go to the log.
const REQUEST_ID_LENGTH: usize = 64;

/// The id of a request: the client's own, or one of ours.
#[derive(Debug, Clone)]
pub struct TraceId(pub String);

/// Who asked, as the access log names them; set by the authorization layer on its answer.
#[derive(Debug, Clone)]
pub struct Asker(pub String);

impl From<&Principal> for Asker {
    fn from(principal: &Principal) -> Self {
        Self(principal.to_string())
    }
}

/// Takes or draws the request's id, answers with it, and writes one line about the request. Query strings are not
/// logged: only paths, so that nothing a user pastes there is kept.
pub async fn trace(mut request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).and_then(accepted).unwrap_or_else(drawn);
    request.extensions_mut().insert(TraceId(id.clone()));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let begun = Instant::now();
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let ms = begun.elapsed().as_millis() as u64;
    let by = response.extensions().get::<Asker>().map_or("-", |asker| asker.0.as_str());
    let status = response.status().as_u16();
    tracing::info!(target: "dinp::access", %method, path, status, ms, by, trace_id = id, "request");
    response
}

fn accepted(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    (plain && (1..=REQUEST_ID_LENGTH).contains(&text.len())).then(|| text.to_owned())
}

fn drawn() -> String {
    hex::encode(rand::random::<[u8; 8]>())
}
