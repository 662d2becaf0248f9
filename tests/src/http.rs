//! Requests to an app through the router: to its address, with its name as Host.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;

/// A client gives up after this; what took less was slow, not lost.
pub const CLIENT_TIMEOUT: Duration = Duration::from_secs(10);

pub type Sender = SendRequest<Empty<Bytes>>;

/// An answer with its whole body.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: hyper::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// A keep-alive connection.
pub async fn connect(router: SocketAddr) -> Result<Sender> {
    let stream = TcpStream::connect(router).await.context("connecting to the router")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await.context("the connection")?;
    tokio::spawn(async move {
        // Its end shows in the request that was on it.
        let _ = connection.await;
    });
    Ok(sender)
}

pub fn request(host: &str, path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).header("host", host).body(Empty::new()).expect("a request")
}

/// One request on a connection, to the end of its body.
pub async fn send(sender: &mut Sender, host: &str, path: &str) -> Result<Answer> {
    let answer = sender.send_request(request(host, path)).await.context("no answer")?;
    whole(answer).await
}

pub async fn whole(answer: Response<hyper::body::Incoming>) -> Result<Answer> {
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await.context("the answer's body was cut off")?.to_bytes();
    Ok(Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&bytes).into_owned() })
}

/// One request on a connection of its own.
pub async fn get(router: SocketAddr, host: &str, path: &str) -> Result<Answer> {
    let once = async { send(&mut connect(router).await?, host, path).await };
    tokio::time::timeout(CLIENT_TIMEOUT, once).await.context("no answer within 10 s")?
}

/// A WebSocket to `/ws`.
pub async fn websocket(router: SocketAddr, host: &str) -> Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(router).await?;
    let opened = tokio_tungstenite::client_async(format!("ws://{host}/ws"), stream);
    let (socket, _) = tokio::time::timeout(CLIENT_TIMEOUT, opened).await.context("no WebSocket within 10 s")??;
    Ok(socket)
}
