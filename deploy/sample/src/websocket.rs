//! `/ws`: sends back every message it gets.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, frame::coding::CloseCode};

use crate::answers::{Answer, text};
use crate::serve::App;

/// Answers 101 and echoes in a task of its own, or says what the request lacks.
pub fn upgrade(mut request: Request<Incoming>, app: Arc<App>) -> Answer {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return text(StatusCode::UPGRADE_REQUIRED, "this address speaks WebSocket\n");
    };
    let accept = derive_accept_key(key.as_bytes());
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(io) = upgraded.await {
            echo(WebSocketStream::from_raw_socket(TokioIo::new(io), Role::Server, None).await, &app).await;
        }
    });
    let mut answer = text(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(value) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, value);
    }
    answer
}

async fn echo(mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>, app: &App) {
    let hello = format!("{} {}", app.identity.release, app.identity.instance);
    if socket.send(Message::text(hello)).await.is_err() {
        return;
    }
    let mut stopping = app.stopping.clone();
    loop {
        // Both branches are cancel-safe: `next` keeps a partial frame inside the socket.
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                    if socket.send(message).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            _ = async { stopping.wait_for(|stopping| *stopping).await.is_ok() } => {
                let goodbye = CloseFrame { code: CloseCode::Away, reason: "the instance stops".into() };
                // The peer may be gone already, and then there is nobody to say goodbye to.
                let _ = socket.close(Some(goodbye)).await;
                return;
            }
        }
    }
}
