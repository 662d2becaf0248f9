//! Clients: single requests, and a counted load on kept-alive connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// One kept-alive connection.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The name of the instance that answered.
    pub fn instance(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

pub fn request(method: Method, host: &str, target: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(target).header(header::HOST, format!("{host}:8080"));
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request")
}

impl Client {
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    pub async fn send(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        self.sender.ready().await?;
        let response: Response<_> = self.sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, text: String::from_utf8_lossy(&body).into_owned() })
    }

    /// Whether the other side has closed it.
    pub fn is_over(&self) -> bool {
        self.sender.is_closed()
    }
}

/// One GET over a connection of its own.
pub async fn get(router: SocketAddr, host: &str, target: &str) -> Answer {
    let mut client = Client::connect(router).await.expect("connects");
    client.send(request(Method::GET, host, target, "")).await.expect("an answer")
}

/// Requests from several kept-alive connections, each with an id of its own that must come back.
pub struct Load {
    stop: Arc<AtomicBool>,
    pub done: Arc<AtomicU32>,
    connections: JoinSet<Vec<String>>,
}

impl Load {
    pub fn start(router: SocketAddr, host: &'static str, connections: usize) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let mut running = JoinSet::new();
        for number in 0..connections {
            running.spawn(one_connection(router, host, number, stop.clone(), done.clone()));
        }
        Self { stop, done, connections: running }
    }

    pub fn count(&self) -> u32 {
        self.done.load(Ordering::SeqCst)
    }

    /// Waits for this many more answers.
    pub async fn more(&self, answers: u32) {
        let goal = self.count() + answers;
        super::until("the load to go on", async || if self.count() >= goal { Ok(()) } else { Err(format!("{}", self.count())) })
            .await;
    }

    /// Ends the load and returns how many were answered, and every failure.
    pub async fn finish(self) -> (u32, Vec<String>) {
        self.stop.store(true, Ordering::SeqCst);
        let failures = self.connections.join_all().await.concat();
        (self.done.load(Ordering::SeqCst), failures)
    }
}

async fn one_connection(
    router: SocketAddr,
    host: &'static str,
    number: usize,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut client: Option<Client> = None;
    let mut n = 0;
    while !stop.load(Ordering::SeqCst) {
        n += 1;
        let id = format!("id-{number}-{n}");
        let method = if n % 4 == 0 { Method::POST } else { Method::GET };
        let body = if method == Method::POST { id.as_str() } else { "" };
        // A connection the router has announced to close is not used again, as browsers do.
        if client.as_ref().is_some_and(Client::is_over) {
            client = None;
        }
        let sent = async {
            if client.is_none() {
                client = Some(Client::connect(router).await?);
            }
            let mut request = request(method, host, &format!("/{id}"), body);
            request.headers_mut().insert("x-request-id", id.parse()?);
            let answer = client.as_mut().expect("connected").send(request).await?;
            if answer.headers.get(header::CONNECTION).is_some_and(|value| value == "close") {
                client = None;
            }
            anyhow::ensure!(answer.status == 200, "status {}: {}", answer.status, answer.text);
            anyhow::ensure!(
                answer.text.contains(&format!("/{id}\n")) && answer.text.ends_with(body),
                "another's answer: {}",
                answer.text
            );
            anyhow::Ok(())
        };
        match sent.await {
            Ok(()) => drop(done.fetch_add(1, Ordering::SeqCst)),
            Err(error) => {
                failures.push(format!("{id}: {error:#}"));
                client = None;
            }
        }
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
    failures
}
