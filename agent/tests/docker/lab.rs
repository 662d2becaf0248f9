//! One agent, one server, one engine, and the image of the sample app.

use std::collections::HashMap;
use std::path::PathBuf;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker, body_full};
use dinp_agent::Config;
use dinp_common::digest::{Digest, Image};
use dinp_common::health::HealthCheck;
use dinp_common::instance::{InstanceId, Seen, Want};
use dinp_common::name::{AppName, ClusterId, EnvKey, NodeName};
use dinp_common::release::{EnvValue, ReleaseNo, RunSpec};
use dinp_common::size::MiB;
use dinp_common::wire::Assignment;
use dinp_daemon::admin::Readiness;
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::server::{Server, TOKEN};

pub struct Lab {
    pub server: Server,
    pub docker: Docker,
    pub image: Digest,
    pub config: Config,
    /// Different in every test, since container names are one space for a whole engine.
    pub app: AppName,
    agent: Option<(CancellationToken, JoinHandle<anyhow::Result<()>>)>,
    folder: Option<tempfile::TempDir>,
    /// Containers of the user's own, removed at the end.
    strangers: Vec<String>,
}

fn socket() -> PathBuf {
    let socket = std::env::var_os("DINP_TEST_DOCKER");
    socket.expect("DINP_TEST_DOCKER names the socket of an engine for tests; ./deploy/test sets it").into()
}

pub fn id(n: u64) -> InstanceId {
    InstanceId::from_sequence(n)
}

pub fn healthy(seen: &Seen) -> bool {
    matches!(seen, Seen::Running { health: dinp_common::health::Health::Healthy, .. })
}

impl Lab {
    /// Everything but the agent.
    pub async fn new(name: &str) -> Self {
        let socket = socket();
        dinp_daemon::telemetry::init("agent-tests");
        let docker = Docker::connect_with_unix(&socket.display().to_string(), 60, API_DEFAULT_VERSION).expect("an engine");
        let docker = docker.negotiate_version().await.expect("a version");
        let folder = tempfile::tempdir().expect("a folder");
        let token_file = folder.path().join("token");
        std::fs::write(&token_file, TOKEN).expect("writes");
        let tag = format!("{name}{:04x}", rand::random::<u16>());
        let server = Server::start(ClusterId::parse(&format!("c-{tag}")).expect("cluster")).await;
        let config = Config {
            servers: vec![format!("ws://{}", server.address)],
            token_file,
            state_dir: folder.path().join("agent"),
            node: Some(NodeName::parse("testnode").expect("name")),
            docker: socket,
            bridge: tag,
            ..Config::default()
        };
        let image = sample(&docker, &server.cluster, 1).await;
        let app = AppName::parse(&config.bridge).expect("name");
        Self { server, docker, image, config, app, agent: None, folder: Some(folder), strangers: Vec::new() }
    }

    pub async fn with_agent(name: &str) -> Self {
        let mut lab = Self::new(name).await;
        lab.start_agent();
        lab
    }

    pub fn start_agent(&mut self) {
        let shutdown = CancellationToken::new();
        let agent = tokio::spawn(dinp_agent::run(self.config.clone(), Readiness::default(), shutdown.clone()));
        self.agent = Some((shutdown, agent));
    }

    pub async fn stop_agent(&mut self) {
        if let Some((shutdown, agent)) = self.agent.take() {
            shutdown.cancel();
            agent.await.expect("no panic").expect("no error");
        }
    }

    /// An instance of the sample with an HTTP health check.
    pub fn instance(&self, n: u64, want: Want) -> Assignment {
        let image = Image { config: self.image.clone(), manifest: None, name: "sample".into(), bytes: 0 };
        let env = [(EnvKey::parse("GREETING").expect("key"), EnvValue::plain("hello"))];
        Assignment {
            instance: id(n),
            app: self.app.clone(),
            release: ReleaseNo(3),
            index: 0,
            want,
            spec: RunSpec {
                image,
                env: env.into(),
                memory: MiB(64),
                cpu: None,
                placement: Default::default(),
                port: 8080,
                health: HealthCheck::Http { path: "/health".into() },
                command: None,
                stop_grace_seconds: 10,
            },
        }
    }

    pub fn failing(&self, n: u64, how: &str) -> Assignment {
        let mut instance = self.instance(n, Want::Run);
        instance.spec.env.insert(EnvKey::parse("FAIL").expect("key"), EnvValue::plain(how));
        instance
    }

    /// Assigns one instance and waits until it is healthy; its address.
    pub async fn run_one(&mut self, n: u64) -> std::net::SocketAddr {
        self.server.assign(vec![self.instance(n, Want::Run)], vec![]);
        match self.server.until_seen(&id(n), "a healthy instance", healthy).await {
            Seen::Running { address, .. } => address,
            other => unreachable!("{other:?}"),
        }
    }

    pub fn container(&self, n: u64) -> String {
        format!("dinp-{}-{}", self.app, id(n))
    }

    pub async fn inspect(&self, container: &str) -> bollard::models::ContainerInspectResponse {
        self.docker.inspect_container(container, None::<InspectContainerOptions>).await.expect("a container")
    }

    /// All containers of this test's cluster.
    pub async fn count(&self) -> usize {
        let filters = HashMap::from([("label", vec![format!("dinp.cluster={}", self.server.cluster)])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        self.docker.list_containers(Some(options)).await.expect("a list").len()
    }

    /// Runs a container of the user's own; its id.
    pub async fn stranger(&mut self, name: &str, labels: &[(&str, &str)], env: &[&str]) -> String {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let body = ContainerCreateBody {
            image: Some(self.image.to_string()),
            labels: Some(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()),
            env: Some(env.iter().map(|text| (*text).to_owned()).collect()),
            host_config: Some(HostConfig { network_mode: Some("none".into()), ..Default::default() }),
            ..Default::default()
        };
        let id = self.docker.create_container(Some(options), body).await.expect("creates").id;
        self.docker.start_container(&id, None).await.expect("starts");
        self.strangers.push(id.clone());
        id
    }

    pub async fn get(&self, address: std::net::SocketAddr, path: &str) -> Result<String, String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: hello\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
        Ok(answer)
    }

    /// Stops the agent and removes everything this test made, which must be everything there is of its cluster.
    pub async fn finish(mut self) {
        self.stop_agent().await;
        for stranger in self.strangers.drain(..) {
            let options = RemoveContainerOptionsBuilder::default().force(true).build();
            self.docker.remove_container(&stranger, Some(options)).await.expect("the user's container is still there");
        }
        let node = self.config.node_name();
        let removed = dinp_agent::purge(&self.config.docker, &node, &self.config.bridge).await.expect("purges");
        assert!(removed.contains(&format!("network {}", self.config.bridge)), "{removed:?}");
        assert_eq!(self.count().await, 0, "after the purge");
        self.folder.take().expect("once").close().expect("closes");
    }
}

/// A test that failed leaves nothing behind either.
impl Drop for Lab {
    fn drop(&mut self) {
        if self.folder.is_none() {
            return;
        }
        let (config, strangers) = (self.config.clone(), std::mem::take(&mut self.strangers));
        let (docker, agent) = (self.docker.clone(), self.agent.take());
        let clean = async move {
            if let Some((shutdown, _)) = agent {
                shutdown.cancel();
            }
            for stranger in strangers {
                let options = RemoveContainerOptionsBuilder::default().force(true).build();
                let _ = docker.remove_container(&stranger, Some(options)).await;
            }
            dinp_agent::purge(&config.docker, &config.node_name(), &config.bridge).await
        };
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let cleaned = std::thread::spawn(move || runtime().block_on(clean)).join();
        eprintln!("after a failure: {cleaned:?}");
    }
}

/// Puts the sample on the engine as an image of the cluster and a build, and returns its id.
pub async fn sample(docker: &Docker, cluster: &ClusterId, build: u32) -> Digest {
    let path = std::env::var_os("DINP_TEST_SAMPLE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/x86_64-unknown-linux-gnu/release/dinp-sample")),
        PathBuf::from,
    );
    let program = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; ./deploy/test builds it", path.display()));
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(program.len() as u64);
    tar.append_data(&mut header, "app", &program[..]).expect("a tar");
    let tar = tar.into_inner().expect("a tar");
    let changes = vec![
        "ENTRYPOINT [\"/app\"]".to_owned(),
        format!("LABEL dinp.image.cluster={cluster}"),
        format!("LABEL dinp.image.build={build}"),
    ];
    let options = CreateImageOptionsBuilder::default().from_src("-").changes(changes).build();
    let mut import = docker.create_image(Some(options), Some(body_full(tar.into())), None).boxed();
    let mut id = None;
    while let Some(line) = import.next().await {
        id = line.expect("imports").status.or(id);
    }
    Digest::parse(&id.expect("an id")).expect("a digest")
}
