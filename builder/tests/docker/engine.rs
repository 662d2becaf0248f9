//! The engine for tests, and containers run the way an agent runs them.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use dinp_builder::{Refusal, Workshop, connect};
use dinp_common::build::{BuildId, BuildOrder, BuildOutcome};
use dinp_common::digest::Digest;
use dinp_common::name::AppName;
use tokio_util::sync::CancellationToken;

/// The cluster of these tests: its bases are made once and shared by all of them.
pub const CLUSTER: &str = "buildertest";
/// A Java server with one core to share is up within this.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

pub struct Engine {
    pub socket: String,
}

/// One network for all tests, since an engine for tests may have none of its own.
static NETWORK: OnceLock<()> = OnceLock::new();
const NETWORK_NAME: &str = "dinp-builder-test";

impl Engine {
    pub fn for_tests() -> Self {
        let socket = std::env::var("DINP_TEST_DOCKER");
        Self { socket: socket.expect("DINP_TEST_DOCKER names the socket of an engine for tests; ./deploy/test sets it") }
    }

    pub fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new("docker");
        command.env("DOCKER_BUILDKIT", "0").arg("-H").arg(format!("unix://{}", self.socket)).args(arguments);
        let output = command.output().expect("the docker command");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    pub fn run(&self, arguments: &[&str]) -> String {
        self.try_run(arguments).unwrap_or_else(|why| panic!("docker {}: {why}", arguments.join(" ")))
    }

    pub async fn workshop(&self) -> Workshop {
        let docker = connect(Path::new(&self.socket)).await.expect("engine");
        Workshop { docker, cluster: CLUSTER.to_owned(), bases: Default::default() }
    }

    /// Builds `content` as the app `app`; gives the outcome and the log.
    pub async fn build(&self, app: &str, file_name: &str, content: &[u8]) -> (anyhow::Result<BuildOutcome>, Vec<String>) {
        self.build_with(&self.workshop().await, &order(app, file_name), content).await
    }

    pub async fn build_with(
        &self,
        workshop: &Workshop,
        order: &BuildOrder,
        content: &[u8],
    ) -> (anyhow::Result<BuildOutcome>, Vec<String>) {
        let file = super::files::file_of(content);
        let log = Mutex::new(Vec::new());
        let progress = |line: String| {
            eprintln!("{}: {line}", order.app);
            log.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        };
        let outcome = workshop.build(order, file.path(), &CancellationToken::new(), &progress).await;
        (outcome, log.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Builds what must succeed.
    pub async fn image(&self, app: &str, file_name: &str, content: &[u8]) -> Built<'_> {
        let (outcome, log) = self.build(app, file_name, content).await;
        match outcome {
            Ok(outcome @ BuildOutcome::Image { .. }) => Built { engine: self, outcome, log },
            other => panic!("no image: {other:?}; log: {log:#?}"),
        }
    }

    /// Runs an image as an agent does.
    pub fn start(&self, image: &str) -> Container<'_> {
        NETWORK.get_or_init(|| {
            // A run that was killed leaves it behind; it can serve again.
            if self.try_run(&["network", "inspect", NETWORK_NAME]).is_err() {
                self.run(&["network", "create", NETWORK_NAME]);
            }
        });
        let id = self.run(&[
            "run",
            "-d",
            "--network",
            NETWORK_NAME,
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
            "--memory",
            "256m",
            "--pids-limit",
            "512",
            "-e",
            "PORT=8080",
            image,
        ]);
        Container { engine: self, id }
    }

    /// Names and ids of all images and containers, for a comparison of before and after.
    pub fn inventory(&self) -> Vec<String> {
        let images = self.run(&["images", "-a", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"]);
        images.lines().map(str::to_owned).collect()
    }
}

pub fn order(app: &str, file_name: &str) -> BuildOrder {
    BuildOrder {
        id: BuildId(1),
        app: AppName::parse(app).expect("name"),
        artifact: Digest::from_sha256([7; 32]),
        artifact_bytes: 0,
        file_name: file_name.to_owned(),
        kind: None,
        start: None,
    }
}

/// Why a build made no image.
pub fn refusal(outcome: anyhow::Result<BuildOutcome>) -> Refusal {
    match outcome {
        Err(error) => Refusal::of(&error),
        Ok(outcome) => panic!("an image came out: {outcome:?}"),
    }
}

/// An image that goes with its test.
pub struct Built<'e> {
    pub engine: &'e Engine,
    pub outcome: BuildOutcome,
    pub log: Vec<String>,
}

impl Built<'_> {
    pub fn id(&self) -> &str {
        match &self.outcome {
            BuildOutcome::Image { image, .. } => image.config.as_str(),
            BuildOutcome::Failed { why, .. } => panic!("{why}"),
        }
    }

    pub fn dockerfile(&self) -> &str {
        match &self.outcome {
            BuildOutcome::Image { dockerfile, .. } => dockerfile,
            BuildOutcome::Failed { why, .. } => panic!("{why}"),
        }
    }
}

impl Drop for Built<'_> {
    fn drop(&mut self) {
        if let BuildOutcome::Image { image, .. } = &self.outcome {
            let _ = self.engine.try_run(&["rmi", "-f", image.config.as_str()]);
        }
    }
}

pub struct Container<'e> {
    engine: &'e Engine,
    pub id: String,
}

impl Container<'_> {
    /// Asks until the server answers at all; the answer's status, headers and body.
    pub fn get(&self, path: &str, headers: &str) -> (u16, String, String) {
        let text = self.engine.run(&["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", &self.id]);
        let address = SocketAddr::new(text.parse::<IpAddr>().expect("address"), 8080);
        let began = Instant::now();
        loop {
            match ask(address, path, headers) {
                Ok(answer) => return answer,
                Err(error) => {
                    let running = self.engine.run(&["inspect", "-f", "{{.State.Running}}", &self.id]) == "true";
                    if !running || began.elapsed() > ANSWER_WITHIN {
                        panic!("no answer from {address}{path}: {error}; running: {running}; output:\n{}", self.output());
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }

    pub fn output(&self) -> String {
        let output =
            Command::new("docker").arg("-H").arg(format!("unix://{}", self.engine.socket)).args(["logs", &self.id]).output();
        let output = output.expect("docker logs");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// Sends SIGTERM and waits; whether it ended by itself before it was killed.
    pub fn stops_on_term(&self) -> bool {
        let began = Instant::now();
        self.engine.run(&["stop", "-t", "20", &self.id]);
        began.elapsed() < Duration::from_secs(15)
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.engine.try_run(&["rm", "-f", "-v", &self.id]);
    }
}

fn ask(address: SocketAddr, path: &str, headers: &str) -> std::io::Result<(u16, String, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    // HTTP/1.0 spares us chunks; what headers ask for came with 1.1.
    let version = if headers.is_empty() { "1.0" } else { "1.1" };
    write!(stream, "GET {path} HTTP/{version}\r\nHost: shop.localhost\r\nConnection: close\r\n{headers}\r\n")?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(std::io::ErrorKind::InvalidData)?;
    Ok((status, head.to_lowercase(), body.to_owned()))
}
