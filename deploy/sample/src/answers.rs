//! What each path answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::unfold;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde_json::json;

use crate::serve::App;
use crate::websocket;

pub type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The longest `/slow`, in milliseconds: ten minutes.
const SLOWEST_MS: u64 = 600_000;
/// How often `/slow` shows that it lives, in milliseconds.
const DOT_MS: u64 = 100;

pub fn answer(request: Request<Incoming>, app: Arc<App>) -> Answer {
    let query = request.uri().query().unwrap_or_default().to_owned();
    match request.uri().path() {
        "/" | "/health" if app.never_healthy => text(StatusCode::SERVICE_UNAVAILABLE, "FAIL=health: never healthy\n"),
        "/" => page(&app),
        "/health" => text(StatusCode::OK, "ok\n"),
        "/whoami" => whoami(&app, &query),
        "/slow" => slow(&app, &query),
        "/crash" => {
            eprintln!("asked to crash by GET /crash");
            std::process::exit(1);
        }
        "/ws" => websocket::upgrade(request, app),
        _ => text(StatusCode::NOT_FOUND, "not here; try / /health /whoami /slow?ms=500 /crash /ws\n"),
    }
}

pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    whole(status, "text/plain; charset=utf-8", body)
}

fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    with_body(status, content_type, Full::new(body.into()).boxed_unsync())
}

fn with_body(status: StatusCode, content_type: &'static str, body: UnsyncBoxBody<Bytes, Infallible>) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn parameter<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

/// Who answered; `?id=` comes back as it was sent, so that a client can tell answers apart.
fn whoami(app: &App, query: &str) -> Answer {
    let me = &app.identity;
    let body = json!({
        "app": me.app,
        "release": me.release,
        "instance": me.instance,
        "index": me.index,
        "node": me.node,
        "id": parameter(query, "id"),
    });
    whole(StatusCode::OK, "application/json", format!("{body}\n"))
}

/// A response that takes `?ms=` milliseconds: a dot every tenth of a second, then a line that ends it. One that was
/// cut off lacks that line.
fn slow(app: &App, query: &str) -> Answer {
    let wanted: u64 = parameter(query, "ms").and_then(|ms| ms.parse().ok()).unwrap_or(1_000);
    let total = wanted.min(SLOWEST_MS);
    let last = format!(" waited {total} ms on {} {}\n", app.identity.release, app.identity.instance);
    let frames = unfold((total, Some(last)), |(left, last)| async move {
        let step = left.min(DOT_MS);
        tokio::time::sleep(Duration::from_millis(step)).await;
        let (bytes, next) = if left > step { (Bytes::from_static(b"."), last) } else { (Bytes::from(last?), None) };
        Some((Ok(Frame::data(bytes)), (left - step, next)))
    });
    with_body(StatusCode::OK, "text/plain; charset=utf-8", StreamBody::new(frames).boxed_unsync())
}

fn page(app: &App) -> Answer {
    let me = &app.identity;
    let body = include_str!("page.html")
        .replace("{app}", &escape(&me.app))
        .replace("{release}", &escape(&me.release))
        .replace("{instance}", &escape(&me.instance))
        .replace("{node}", &escape(&me.node));
    whole(StatusCode::OK, "text/html; charset=utf-8", body)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
