//! Typed input: bodies, queries and paths, refused in words when they do not read.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request, rejection::BytesRejection};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use bytes::Bytes;
use dinp_common::limits;
use dinp_common::name::AppName;
use dinp_store::RequestKey;
use serde::de::DeserializeOwned;

use super::problem::ApiError;

/// How long a JSON body may take to arrive: its 1 MiB needs 35 KB a second. Whoever sends more slowly, or not at all, holds
/// a connection and a task for no longer than that.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// A JSON body. An empty one reads as `{}`, so that `POST .../restart` needs none.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let json = is_json(request.headers());
        let bytes = whole(request, state).await?;
        if !bytes.is_empty() && !json {
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", "the body's Content-Type is not JSON")
                .suggest("send Content-Type: application/json"));
        }
        decode(if bytes.is_empty() { b"{}" } else { &bytes }).map(Self)
    }
}

/// The body of a request that is no upload, within its bounds of size and time.
pub async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(BODY_WITHIN, Bytes::from_request(request, state)).await {
        Ok(read) => read.map_err(|rejection| unread(&rejection)),
        Err(_) => Err(late()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("application/json") || kind.ends_with("+json")
    })
}

fn unread(rejection: &BytesRejection) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the request's body is larger than {} KiB", limits::JSON_BODY_BYTES / 1024),
        ),
        status => ApiError::new(status, "body_unreadable", "the request's body ended before it was whole"),
    }
}

fn late() -> ApiError {
    let detail = format!("the request's body was not whole after {} seconds", BODY_WITHIN.as_secs());
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_late", detail)
        .suggest("send the whole body at once, and again")
        .now("nothing of the request was done")
}

/// Reads JSON; an error names the field by its pointer.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize::<_, T>(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        if !inner.is_data() {
            return ApiError::new(StatusCode::BAD_REQUEST, "not_json", format!("the body is not JSON: {inner}"));
        }
        let detail = in_words(&pointer, &inner.to_string());
        ApiError::unprocessable("invalid_request", detail.clone()).field(&pointer, detail)
    })?;
    reader
        .end()
        .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "not_json", format!("more follows the JSON value: {error}")))?;
    Ok(value)
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    segments.fold(String::new(), |pointer, segment| pointer + "/" + &segment)
}

/// Serde's sentence without its position, which says nothing to someone whose JSON a program wrote.
fn in_words(pointer: &str, serde: &str) -> String {
    let plain = serde.split(" at line ").next().unwrap_or(serde);
    if pointer.ends_with("/instances") {
        return format!("instances is a whole number from 0 to {} ({plain})", limits::INSTANCES_PER_APP);
    }
    match pointer.is_empty() {
        true => plain.to_owned(),
        false => format!("{}: {plain}", pointer.trim_start_matches('/').replace('/', ".")),
    }
}

/// The query string.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Query::<T>::try_from_uri(&parts.uri).map(|Query(value)| Self(value)).map_err(|rejection| {
            let text = rejection.body_text();
            let why = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            ApiError::unprocessable("invalid_query", format!("the query is not understood: {why}"))
        })
    }
}

/// One parsed piece of the path.
#[derive(Debug)]
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(value) = Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::unprocessable("invalid_name", rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// The app of the path. Its name is parsed here, so a bad one is refused in the words of the name itself.
#[derive(Debug)]
pub struct App(pub AppName);

impl<S: Send + Sync> FromRequestParts<S> for App {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        #[derive(serde::Deserialize)]
        struct Pieces {
            app: String,
        }
        let Named(Pieces { app }) = Named::<Pieces>::from_request_parts(parts, state).await?;
        Ok(Self(AppName::parse(&app)?))
    }
}

/// What a change is made on condition of; the store holds it to both.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// `If-Match: "r7"`: the revision the caller has seen. The change is refused if the app has another.
    pub seen: Option<u64>,
    /// `Idempotency-Key`: the change is made once under it.
    pub request: Option<RequestKey>,
}

impl<S: Send + Sync> FromRequestParts<S> for Terms {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        Ok(Self { seen: if_match(&parts.headers)?, request: parts.extensions.get::<RequestKey>().cloned() })
    }
}

fn if_match(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let revision = text.trim_start_matches("W/").trim_matches('"').strip_prefix('r').and_then(|n| n.parse().ok());
    revision.map(Some).ok_or_else(|| {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_etag", format!("If-Match: {text} is not one of our ETags (\"r7\")"))
    })
}

/// The other end of the connection; `None` for a caller in this process.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub Option<IpAddr>);

impl Peer {
    pub fn of(extensions: &Extensions) -> Self {
        Self(extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.extensions))
    }
}
