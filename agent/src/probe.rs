//! Probes of one container, from the host to the container's own address.

mod listening;
mod process;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dinp_common::health::{Health, HealthCheck};
use dinp_common::instance::InstanceId;
use dinp_daemon::beat;
use dinp_planner::agent::Event;
use dinp_planner::agent::probe::{PROBE_TIMEOUT, PROVEN_EVERY, Prober};
use http::header::{CONNECTION, HOST, USER_AGENT};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::core::Input;
use crate::engine::Engine;

/// How often it is read where a process listens that does not answer.
const LISTENING_EVERY: Duration = Duration::from_millis(500);

/// One run of one container.
#[derive(Debug)]
pub struct Target {
    pub instance: InstanceId,
    pub container: String,
    pub run: u32,
    pub address: SocketAddr,
    pub check: HealthCheck,
}

/// Probes until cancelled, and says when the verdict or its words change.
///
/// Every probe is a connection of its own: one that is kept open would go on answering where new ones are refused.
pub async fn run(engine: Arc<Engine>, target: Target, inputs: mpsc::Sender<Input>) {
    let mut prober = Prober::default();
    let mut said = Said { target: &target, inputs, verdict: None };
    let mut pid = None;
    let mut listening = Vec::new();
    let mut read_at: Option<Instant> = None;
    let mut end = std::pin::pin!(process::end(&engine, &target.container));
    let mut watching = true;
    loop {
        let outcome = probe(target.address, &target.check).await;
        let mut pause = prober.probed(outcome);
        match prober.health() {
            Health::Unproven { .. } if read_at.is_none_or(|at| at.elapsed() >= LISTENING_EVERY) => {
                // The first failures are those of every start; what they would read is not worth a call.
                if read_at.is_some() {
                    listening = self::listening(&engine, &target.container, &mut pid).await;
                }
                read_at = Some(Instant::now());
            }
            Health::Unproven { .. } => {}
            Health::Healthy | Health::Unhealthy { .. } => listening.clear(),
        }
        if said.say(prober.health(), &listening).await.is_err() {
            return;
        }
        // Not before it is healthy: Docker is busy enough with a start.
        if watching && *prober.health() == Health::Healthy {
            let Ok(ended) = tokio::time::timeout_at(next(pause), &mut end).await else { continue };
            watching = false;
            if ended {
                pause = prober.ended();
                if said.say(prober.health(), &listening).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep_until(next(pause)).await;
    }
}

/// When to probe again: an instance that answers, together with others; one that is in doubt, when its time has come.
fn next(pause: Duration) -> Instant {
    if pause >= PROVEN_EVERY { beat::within(pause) } else { Instant::now() + pause }
}

/// What the core was told last of one run.
struct Said<'t> {
    target: &'t Target,
    inputs: mpsc::Sender<Input>,
    verdict: Option<(Health, Vec<SocketAddr>)>,
}

impl Said<'_> {
    /// Says what is new. An error: nobody listens any more.
    async fn say(&mut self, health: &Health, listening: &[SocketAddr]) -> Result<(), mpsc::error::SendError<Input>> {
        let verdict = (health.clone(), listening.to_vec());
        if self.verdict.as_ref() == Some(&verdict) {
            return Ok(());
        }
        self.verdict = Some(verdict.clone());
        let (health, listening) = verdict;
        let instance = self.target.instance.clone();
        self.inputs.send(Input::Event(Event::Probed { instance, run: self.target.run, health, listening })).await
    }
}

/// Where the container's processes listen; empty where that cannot be told.
async fn listening(engine: &Engine, container: &str, pid: &mut Option<i64>) -> Vec<SocketAddr> {
    if pid.is_none() {
        let state = engine.inspect(container).await.ok().and_then(|inspected| inspected.state);
        *pid = state.and_then(|state| state.pid).filter(|pid| *pid > 0);
    }
    pid.map(listening::of_process).unwrap_or_default()
}

/// One probe; an error says in words what was met instead of health.
async fn probe(address: SocketAddr, check: &HealthCheck) -> Result<(), String> {
    let answer = async {
        let stream = TcpStream::connect(address).await.map_err(|error| refusal(&error))?;
        match check {
            HealthCheck::Tcp => Ok(()),
            HealthCheck::Http { path } => get(stream, address, path).await,
        }
    };
    let late = || format!("no answer within {} s", PROBE_TIMEOUT.as_secs());
    tokio::time::timeout(PROBE_TIMEOUT, answer).await.unwrap_or_else(|_| Err(late()))
}

fn refusal(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "the connection is refused".to_owned(),
        std::io::ErrorKind::HostUnreachable => "the container cannot be reached".to_owned(),
        _ => format!("no connection: {error}"),
    }
}

async fn get(stream: TcpStream, address: SocketAddr, path: &str) -> Result<(), String> {
    let request = http::Request::get(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, "dinp-probe")
        .header(CONNECTION, "close")
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| format!("the health path {path} cannot be asked for: {error}"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| format!("no HTTP answer: {error}"))?;
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(sender.send_request(request));
    // The answer is polled first: a connection that closes after it must not hide it.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => return Err(format!("no HTTP answer: {error}")),
        },
    };
    match answer.map_err(|error| format!("no HTTP answer: {error}"))?.status() {
        status if status.is_success() || status.is_redirection() => Ok(()),
        status => Err(format!("GET {path} answers {status}")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn answering(with: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(with).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn only_200_to_399_is_health() {
        let http = HealthCheck::Http { path: "/health".into() };
        for good in [&b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"[..], b"HTTP/1.1 302 Found\r\nConnection: close\r\n\r\n"] {
            assert_eq!(probe(answering(good).await, &http).await, Ok(()));
        }
        let address = answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
        assert_eq!(probe(address, &http).await, Err("GET /health answers 503 Service Unavailable".into()));
        assert_eq!(probe(address, &HealthCheck::Tcp).await, Ok(()));
        let said = probe(answering(b"220 mail.example.com\r\n").await, &http).await.expect_err("no HTTP");
        assert!(said.starts_with("no HTTP answer"), "{said}");
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_in_words() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("address");
        drop(listener);
        assert_eq!(probe(address, &HealthCheck::Tcp).await, Err("the connection is refused".into()));
    }
}
