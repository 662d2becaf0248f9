//! Answers that go on: newline-delimited JSON and server-sent events. All of them end when the server does.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dinp_common::limits::STREAM_KEEP_ALIVE_SECONDS;
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// Silence after which a stream says that it lives: an empty line, or a comment.
const KEEP_ALIVE: Duration = Duration::from_secs(STREAM_KEEP_ALIVE_SECONDS);

pub const NDJSON: &str = "application/x-ndjson";

/// One JSON value a line.
pub fn ndjson<T: Serialize>(items: impl Stream<Item = T> + Send + 'static, shutdown: &CancellationToken) -> Response {
    let lines = items.filter_map(|item| std::future::ready(line(&item)));
    let lines = kept_alive(lines.take_until(shutdown.clone().cancelled_owned()));
    let body = Body::from_stream(lines.map(Ok::<_, Infallible>));
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    unbuffered(response)
}

fn line(item: &impl Serialize) -> Option<Bytes> {
    let mut line = serde_json::to_vec(item).ok()?;
    line.push(b'\n');
    Some(Bytes::from(line))
}

fn kept_alive(lines: impl Stream<Item = Bytes> + Send + 'static) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(lines.boxed(), |mut lines| async move {
        match tokio::time::timeout(KEEP_ALIVE, lines.next()).await {
            Ok(line) => line.map(|line| (line, lines)),
            Err(_) => Some((Bytes::from_static(b"\n"), lines)),
        }
    })
}

/// One JSON value an event.
pub fn events<T: Serialize>(items: impl Stream<Item = T> + Send + 'static, shutdown: &CancellationToken) -> Response {
    let events = items.filter_map(|item| std::future::ready(Event::default().json_data(&item).ok().map(Ok::<_, Infallible>)));
    let events = events.take_until(shutdown.clone().cancelled_owned());
    unbuffered(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// SSE for a browser that asks for it, NDJSON for everybody else.
pub fn lines<T: Serialize>(
    headers: &HeaderMap,
    items: impl Stream<Item = T> + Send + 'static,
    shutdown: &CancellationToken,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/event-stream") { events(items, shutdown) } else { ndjson(items, shutdown) }
}

/// Proxies that gather an answer before they pass it on would hold a live one for ever.
fn unbuffered(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
