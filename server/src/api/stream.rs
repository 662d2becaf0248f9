//! Answers that go on: newline-delimited JSON and server-sent events. All of them end when the server does, and what
//! cannot be read on is cut off: an error in the middle must not look like the end.

use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dinp_common::limits::STREAM_KEEP_ALIVE_SECONDS;
use dinp_store::StoreError;
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// Silence after which a stream says that it lives: an empty line, or a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(STREAM_KEEP_ALIVE_SECONDS);

pub const NDJSON: &str = "application/x-ndjson";

/// One JSON value a line.
fn ndjson<T: Serialize>(
    items: impl Stream<Item = Result<T, StoreError>> + Send + 'static,
    shutdown: &CancellationToken,
) -> Response {
    let lines = items.map(|item| Ok(line(&item?)?));
    let lines = kept_alive(lines.take_until(shutdown.clone().cancelled_owned()));
    let body = Body::from_stream(lines);
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    unbuffered(response)
}

fn line(item: &impl Serialize) -> serde_json::Result<Bytes> {
    let mut line = serde_json::to_vec(item)?;
    line.push(b'\n');
    Ok(Bytes::from(line))
}

fn kept_alive(
    lines: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes, BoxError>> + Send {
    stream::unfold(lines.boxed(), |mut lines| async move {
        match tokio::time::timeout(KEEP_ALIVE, lines.next()).await {
            Ok(line) => line.map(|line| (line, lines)),
            Err(_) => Some((Ok(Bytes::from_static(b"\n")), lines)),
        }
    })
}

/// One JSON value an event.
pub fn events<T: Serialize>(
    items: impl Stream<Item = Result<T, StoreError>> + Send + 'static,
    shutdown: &CancellationToken,
) -> Response {
    let events = items.map(|item| Ok::<_, BoxError>(Event::default().json_data(item?)?));
    let events = events.take_until(shutdown.clone().cancelled_owned());
    unbuffered(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// SSE for a browser that asks for it, NDJSON for everybody else.
pub fn lines<T: Serialize>(
    headers: &HeaderMap,
    items: impl Stream<Item = Result<T, StoreError>> + Send + 'static,
    shutdown: &CancellationToken,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") { events(items, shutdown) } else { ndjson(items, shutdown) }
}

/// The items of chunks that are read from the store one after the other; after one that cannot be read, nothing more.
pub fn spread<T: Send + 'static>(
    chunks: impl Stream<Item = Result<Vec<T>, StoreError>> + Send,
) -> impl Stream<Item = Result<T, StoreError>> + Send {
    chunks.flat_map(|chunk| {
        let (items, error) = match chunk {
            Ok(items) => (items, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        stream::iter(items.into_iter().map(Ok).chain(error))
    })
}

/// Proxies that gather an answer before they pass it on would hold a live one for ever.
fn unbuffered(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn what_cannot_be_read_on_is_cut_off_and_not_ended() {
        for accept in [NDJSON, "text/event-stream"] {
            let chunks = [Ok(vec![1, 2]), Err(StoreError::Unavailable { why: "gone".into() }), Ok(vec![3])];
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            let mut body = lines(&headers, spread(stream::iter(chunks)), &CancellationToken::new()).into_body();
            for n in ["1", "2"] {
                let frame = body.frame().await.expect("more").expect("a line").into_data().expect("data");
                assert!(String::from_utf8_lossy(&frame).contains(n), "{accept} {frame:?}");
            }
            assert!(body.frame().await.expect("not the end").is_err(), "{accept}");
        }
    }
}
