//! An instance of an app: says its name and what it got, is slow on request, and changes protocols.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub struct App {
    pub address: SocketAddr,
    pub facts: Arc<Facts>,
    accepting: JoinHandle<()>,
}

#[derive(Default)]
pub struct Facts {
    name: String,
    pub connections: AtomicU32,
    pub requests: AtomicU32,
    /// Releases `/held`.
    pub release: Notify,
    /// Bytes that came through tunnels.
    pub tunnelled: watch::Sender<Vec<u8>>,
    /// What `/ws` sends after its 101, in pieces: the next piece goes out at each notification of `release`.
    pub pieces: Vec<Vec<u8>>,
}

impl App {
    pub async fn start(name: &str) -> Self {
        Self::with_pieces(name, Vec::new()).await
    }

    pub async fn with_pieces(name: &str, pieces: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let facts = Arc::new(Facts { name: name.to_owned(), pieces, ..Facts::default() });
        let accepting = tokio::spawn(accept(listener, facts.clone()));
        Self { address, facts, accepting }
    }

    pub fn requests(&self) -> u32 {
        self.facts.requests.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> u32 {
        self.facts.connections.load(Ordering::SeqCst)
    }
}

impl Drop for App {
    /// Dies as a killed process does: nothing is finished.
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, facts: Arc<Facts>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        facts.connections.fetch_add(1, Ordering::SeqCst);
        let facts = facts.clone();
        let service = service_fn(move |request| answer(facts.clone(), request));
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(connection.with_upgrades());
    }
}

async fn answer(facts: Arc<Facts>, mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    facts.requests.fetch_add(1, Ordering::SeqCst);
    let mut response = Response::new(Full::default());
    match request.uri().path() {
        "/held" => facts.release.notified().await,
        "/slow" => tokio::time::sleep(Duration::from_millis(300)).await,
        "/once" => drop(response.headers_mut().insert(header::CONNECTION, http::HeaderValue::from_static("close"))),
        "/ws" | "/uninvited" => {
            let upgraded = hyper::upgrade::on(&mut request);
            tokio::spawn(tunnel(facts.clone(), upgraded));
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let protocol = request.headers().get(header::UPGRADE).cloned().unwrap_or(http::HeaderValue::from_static("websocket"));
            response.headers_mut().insert(header::UPGRADE, protocol);
            response.headers_mut().insert(header::CONNECTION, http::HeaderValue::from_static("upgrade"));
            return Ok(response);
        }
        _ => {}
    }
    let head = format!("{}\n{} {}\n{:?}\n", facts.name, request.method(), request.uri(), request.headers());
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    *response.body_mut() = Full::new([head.as_bytes(), &body].concat().into());
    Ok(response)
}

/// Sends its pieces, and keeps what comes.
async fn tunnel(facts: Arc<Facts>, upgraded: hyper::upgrade::OnUpgrade) {
    let Ok(stream) = upgraded.await else { return };
    let (mut read, mut write) = tokio::io::split(TokioIo::new(stream));
    let reading = async {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = read.read(&mut buffer).await {
            facts.tunnelled.send_modify(|all| all.extend(&buffer[..count]));
        }
    };
    let writing = async {
        for piece in &facts.pieces {
            facts.release.notified().await;
            if write.write_all(piece).await.is_err() {
                return;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}
