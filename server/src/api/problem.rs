//! Every error of the API leaves through here, as problem+json.

use std::any::Any;

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dinp_common::name::InvalidName;
use dinp_common::problem::{PROBLEM_JSON, Problem};

use super::layers::TraceId;

/// Seconds a client waits before it asks a busy or unavailable server again.
const RETRY_AFTER_SECONDS: u64 = 2;

/// A problem on its way out of a handler. The outermost layer adds the request's id and writes the body.
#[derive(Debug, Clone)]
pub struct ApiError(Box<Problem>);

pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Problem::new(status.as_u16(), code, detail).into()
    }

    pub fn unprocessable(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    pub fn not_found(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    pub fn suggest(self, suggestion: impl Into<String>) -> Self {
        Self(Box::new(self.0.suggest(suggestion)))
    }

    pub fn now(self, now: impl Into<String>) -> Self {
        Self(Box::new(self.0.now(now)))
    }

    pub fn field(self, pointer: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(self.0.field(pointer, detail)))
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl From<Box<Problem>> for ApiError {
    fn from(problem: Box<Problem>) -> Self {
        Self(problem)
    }
}

impl From<InvalidName> for ApiError {
    fn from(error: InvalidName) -> Self {
        Self::unprocessable("invalid_name", error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        if status == StatusCode::REQUEST_TIMEOUT {
            // What is left of the request may still come, and must not be taken for the next one (RFC 9110, 15.5.9).
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The one mapper: whatever fails, in a handler, an extractor, the router or by a panic, leaves as problem+json.
pub async fn problems(request: Request, next: Next) -> Response {
    let trace = request.extensions().get::<TraceId>().cloned();
    let asked = format!("{} {}", request.method(), request.uri().path());
    let mut response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = match response.extensions_mut().remove::<ApiError>() {
        Some(error) => Some(*error.0),
        None if is_problem(&response) => None,
        None => Some(unnamed(status, &asked)),
    };
    let Some(mut problem) = problem else { return response };
    problem.trace_id = trace.map(|trace| trace.0);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    let body = Json(problem).into_response().into_body();
    Response::from_parts(parts, body)
}

fn is_problem(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == PROBLEM_JSON.as_bytes())
}

/// The problem of an answer that no handler of ours made.
fn unnamed(status: StatusCode, asked: &str) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(404, "path_not_found", format!("there is nothing at {asked}"))
            .suggest("GET /v1/openapi.json lists every path"),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(405, "method_not_allowed", format!("{asked} is not possible here"))
            .suggest("the Allow header names the methods of this path"),
        StatusCode::PAYLOAD_TOO_LARGE => {
            let limit = dinp_common::limits::JSON_BODY_BYTES / 1024;
            Problem::new(413, "body_too_large", format!("the request's body is larger than {limit} KiB"))
        }
        status if status.is_client_error() => Problem::new(status.as_u16(), "bad_request", format!("{asked} was not understood")),
        status => Problem::new(status.as_u16(), "internal", "something went wrong in the server; its log has the cause")
            .now("apps keep serving"),
    }
}

/// A panic in a handler is an answer too; the cause is for the log alone, since it may quote a secret.
pub fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied());
    tracing::error!(panic = text.unwrap_or("no text"), "a request handler panicked");
    internal().into_response()
}

/// What the server can say of an error of its own.
pub fn internal() -> ApiError {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "the server met an error of its own; its log has the cause under this id",
    )
    .now("apps keep serving")
}
