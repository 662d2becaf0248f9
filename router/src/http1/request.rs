//! One request: looked up, sent on, answered.

use std::convert::Infallible;
use std::rc::Rc;

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;

use crate::head::{HttpVersion, RequestHead};
use crate::headers;
use crate::pages::Page;

use super::body::{ReplyBody, RequestBody};
use super::connection::Connection;
use super::forward::{Answered, Outgoing, forward};
use super::receipt::Receipt;
use super::tunnel;

/// Answers every request, with a page of the router's own where no endpoint does.
pub async fn answer(connection: Rc<Connection>, request: Request<Incoming>) -> Result<Response<ReplyBody>, Infallible> {
    let core = connection.core.clone();
    let mut request = request;
    let client = hyper::upgrade::on(&mut request);
    let (parts, body) = request.into_parts();
    let version = if parts.version == http::Version::HTTP_10 { HttpVersion::V10 } else { HttpVersion::V11 };
    let mut head = RequestHead { method: parts.method, target: parts.uri, version, fields: parts.headers };
    let mut receipt = Receipt::open(&core, &connection.clock, &connection.peer, &head);
    let html = head.accepts_html();

    let host = match head.host() {
        Ok(host) => host,
        Err(why) => return Ok(page(&Page::BadRequest(why), html, receipt, true)),
    };
    let upgrade = head.asks_upgrade();
    let upgrades = upgrade.as_ref().map(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let id = headers::to_endpoint(&mut head, &connection.peer, &host, upgrade, new_request_id);
    receipt.named(&id);
    let outgoing = Outgoing::new(head, RequestBody::new(body, &connection.clock));
    let answered = match forward(&core, &host, outgoing, &mut receipt).await {
        Ok(answered) => answered,
        Err(failed) => return Ok(page(&failed, html, receipt, core.draining())),
    };
    match (answered.response.status(), upgrades) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(websocket)) => {
            Ok(switch(&connection, answered, &id, receipt, tunnel::Client { upgrade: client, websocket }))
        }
        // A protocol nobody asked for: whatever follows on that connection is not an answer.
        (StatusCode::SWITCHING_PROTOCOLS, None) => {
            Ok(page(&Page::Broken { app: answered.app.name.clone() }, html, receipt, true))
        }
        _ => Ok(relay(&connection, answered, &id, receipt)),
    }
}

fn relay(connection: &Connection, answered: Answered, id: &HeaderValue, mut receipt: Receipt) -> Response<ReplyBody> {
    let core = &connection.core;
    let (mut parts, body) = answered.response.into_parts();
    headers::to_client(&mut parts.headers, false, id);
    receipt.status = parts.status.as_u16();
    if core.draining() {
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let mut response = Response::new(ReplyBody::endpoint(core, body, answered.sender, answered.flight, receipt));
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    response
}

/// Passes a 101 on, and the two connections to a tunnel.
fn switch(
    connection: &Connection,
    mut answered: Answered,
    id: &HeaderValue,
    mut receipt: Receipt,
    client: tunnel::Client,
) -> Response<ReplyBody> {
    let endpoint = hyper::upgrade::on(&mut answered.response);
    let (mut parts, _) = answered.response.into_parts();
    headers::to_client(&mut parts.headers, true, id);
    receipt.status = parts.status.as_u16();
    connection.core.meter.upgrades.increment(1);
    let grace_ms = answered.app.tunnel_grace_ms;
    let hold = connection.hold.borrow_mut().take();
    let tunnel = tunnel::Tunnel { flight: answered.flight, grace_ms, drain: connection.core.drain.clone(), hold };
    tokio::task::spawn_local(tunnel.run(client, endpoint));
    let mut response = Response::new(ReplyBody::page(String::new(), receipt));
    *response.status_mut() = parts.status;
    *response.headers_mut() = parts.headers;
    response
}

/// `close` ends the connection after the page, where what follows on it could not be trusted.
fn page(page: &Page, html: bool, mut receipt: Receipt, close: bool) -> Response<ReplyBody> {
    let rendered = page.render(html);
    receipt.status = rendered.status;
    let mut response = Response::new(ReplyBody::page(rendered.body, receipt));
    *response.status_mut() = StatusCode::from_u16(rendered.status).expect("pages have valid status codes");
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(rendered.content_type));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = rendered.retry_after {
        fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if close {
        fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn new_request_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}
