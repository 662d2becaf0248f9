//! An installation of our own: `dinp up` with a private state, free ports, on the test engine.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use dinp_client::{Client, ClientError, PageQuery};
use dinp_common::api::{AppDetail, DeployRequest, DeployView, Settings, Source};
use dinp_common::app::AppStatus;
use dinp_common::deploy::DeployState;
use dinp_common::name::AppName;
use dinp_common::token::Token;
use tempfile::TempDir;

use crate::docker::Docker;
use crate::http::{self, Answer};
use crate::load::Load;
use crate::process::{self, Running};
use crate::wait::until;

/// How long any deploy in these tests may take to end.
pub const DEPLOY: Duration = Duration::from_secs(120);
/// How long an app may take to be as wanted once nothing hinders it.
pub const SETTLE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Lab {
    folder: TempDir,
    /// The binary under test.
    pub program: PathBuf,
    /// Where users' traffic goes in.
    pub router: SocketAddr,
    /// API and dashboard.
    pub panel: SocketAddr,
    pub docker: Docker,
}

/// A port nobody uses just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

impl Lab {
    /// Starts an installation on the test engine and waits until it is ready.
    pub async fn start() -> Self {
        Self::start_on(Docker::for_tests()).await
    }

    pub async fn start_on(docker: Docker) -> Self {
        let lab = Self::prepare(docker);
        lab.up().await;
        lab
    }

    /// Chooses folder and ports; nothing runs yet.
    pub fn prepare(docker: Docker) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::Builder::new().prefix("dinp-lab-").tempdir().expect("a folder");
        // The router runs as nobody in particular and must find its own folder below.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).expect("permissions");
        std::fs::create_dir(folder.path().join("home")).expect("a home");
        let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self { folder, program: crate::dinp(), router: address(), panel: address(), docker }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }
    pub fn run(&self) -> PathBuf {
        self.state().join("run")
    }

    /// `dinp ARGUMENTS`, as the user of this installation.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("HOME", self.folder.path().join("home")).env("NO_COLOR", "1");
        for variable in ["SUDO_USER", "XDG_CONFIG_HOME", "DINP_URL", "DINP_TOKEN", "DINP_APP"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs `dinp ARGUMENTS` to its end without holding up anyone else.
    pub async fn dinp(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output()).await.expect("joined").expect("dinp runs")
    }

    /// `dinp up` with this installation's addresses and `more`.
    pub async fn up_with(&self, more: &[&str]) -> Output {
        let (state, router, panel) = (self.state(), self.router.to_string(), self.panel.to_string());
        let state = state.to_str().expect("UTF-8");
        let mut arguments = vec!["up", "--state", state];
        if more.is_empty() {
            arguments.extend(["--listen", &router, "--panel", &panel, "--docker", &self.docker.socket]);
        }
        arguments.extend(more);
        self.dinp(&arguments).await
    }

    pub async fn up(&self) {
        let output = self.up_with(&[]).await;
        assert!(output.status.success(), "dinp up: {}", said(&output));
        self.node_ready().await;
    }

    /// Waits until the agent has reported and may be given instances.
    pub async fn node_ready(&self) {
        let look = async || self.client().nodes().await.map(|nodes| nodes.items).map_err(|error| error.to_string());
        let ready = |nodes: &Result<Vec<dinp_common::api::NodeView>, String>| {
            nodes.as_ref().is_ok_and(|nodes| nodes.iter().any(|node| node.status.to_string() == "Ready"))
        };
        until("the node is ready", SETTLE, look, ready).await.expect("nodes");
    }

    /// Ends the processes and removes all that is ours.
    pub async fn purge(&self) {
        let output = self.up_with(&["--purge"]).await;
        assert!(output.status.success(), "dinp up --purge: {}", said(&output));
    }

    pub fn pid(&self, role: &str) -> i32 {
        process::recorded(&self.run(), role).unwrap_or_else(|| panic!("no {role} runs"))
    }

    /// The control plane as a child of the test instead of the keeper's, so that it dies and starts when told.
    pub fn control(&self, failpoint: Option<&str>) -> Running {
        let state = self.state();
        let mut command = self.command(&["up", "--foreground", "--state", state.to_str().expect("UTF-8")]);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(state.join("log/control.log")).expect("log");
        command.stdin(std::process::Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
        if let Some(failpoint) = failpoint {
            command.env("DINP_FAILPOINT", failpoint);
        }
        Running::start(&mut command)
    }

    /// The last lines of a process's log, for a failed test's last words.
    pub fn log(&self, role: &str, lines: usize) -> String {
        let text = std::fs::read_to_string(self.state().join(format!("log/{role}.log"))).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    pub fn client(&self) -> Client {
        let path = self.state().join("tokens/admin");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (_, token) = Token::parse(text.trim()).expect("a token of ours");
        Client::connect(&format!("http://{}", self.panel), Some(token)).expect("an address")
    }

    pub fn host(&self, app: &str) -> String {
        format!("{app}.localhost")
    }

    /// A request to an app through the router.
    pub async fn get(&self, app: &str, path: &str) -> anyhow::Result<Answer> {
        http::get(self.router, &self.host(app), path).await
    }

    pub fn load(&self, app: &str) -> Load {
        Load::start(self.router, app, &self.host(app))
    }

    pub async fn app(&self, app: &str) -> AppDetail {
        self.client().app(&name(app)).await.unwrap_or_else(|error| panic!("{app}: {error}"))
    }

    /// Uploads `file` and starts its deploy.
    pub async fn deploy_begin(&self, app: &str, file: &Path, settings: Settings) -> DeployView {
        let file_name = file.file_name().and_then(|n| n.to_str()).expect("a file name");
        let client = self.client();
        let artifact = client.artifact_upload(file, file_name, |_| {}).await.expect("the upload");
        let source = Source::Artifact { digest: artifact.digest, file_name: file_name.to_owned(), kind: None, start: None };
        client.deploy_create(&name(app), &DeployRequest { source, settings }).await.expect("the deploy is taken")
    }

    /// The same, for a server that may die at any moment.
    pub async fn try_deploy(&self, app: &str, file: &Path, settings: Settings) -> Result<DeployView, ClientError> {
        let client = self.client();
        let artifact = client.artifact_upload(file, app, |_| {}).await?;
        let source = Source::Artifact { digest: artifact.digest, file_name: app.to_owned(), kind: None, start: None };
        client.deploy_create(&name(app), &DeployRequest { source, settings }).await
    }

    /// The newest deploy of an app.
    pub async fn last_deploy(&self, app: &str) -> Option<DeployView> {
        self.client().deploys(&name(app), &PageQuery::default()).await.expect("deploys").items.into_iter().next()
    }

    /// Waits for a deploy's final state.
    pub async fn deploy_end(&self, deploy: &DeployView) -> DeployView {
        let client = self.client();
        // The server may be down meanwhile; that is what some tests are about.
        let look =
            async || client.deploy_wait(&deploy.app, deploy.number, Duration::from_secs(1)).await.map_err(|e| e.to_string());
        let done = |seen: &Result<DeployView, String>| seen.as_ref().is_ok_and(|deploy| deploy.state.is_final());
        until("the deploy ends", DEPLOY, look, done).await.expect("ended")
    }

    /// Deploys `file` and expects it to succeed.
    pub async fn deploy(&self, app: &str, file: &Path, settings: Settings) -> DeployView {
        let begun = self.deploy_begin(app, file, settings).await;
        self.succeeds(&begun).await
    }

    pub async fn succeeds(&self, deploy: &DeployView) -> DeployView {
        let ended = self.deploy_end(deploy).await;
        assert_eq!(ended.state, DeployState::Succeeded, "{ended:#?}\n{}", self.log("control", 20));
        ended
    }

    /// Waits until an app is as it should be, with nothing left over.
    pub async fn settled(&self, app: &str) -> AppDetail {
        let settled = |seen: &AppDetail| {
            seen.app.status == AppStatus::Running && seen.instances.len() == seen.app.instances_wanted as usize
        };
        let seen = until("the app settles", SETTLE, async || self.app(app).await, settled).await;
        let wanted = seen.app.instances_wanted as usize;
        until("only its containers are left", SETTLE, async || self.docker.all(app), |all| all.len() == wanted).await;
        seen
    }
}

impl Drop for Lab {
    /// A test that failed must not leave its processes to the next one.
    fn drop(&mut self) {
        if self.state().exists() {
            let state = self.state();
            let _ = self.command(&["up", "--purge", "--state", state.to_str().unwrap_or_default()]).output();
        }
    }
}

pub fn name(app: &str) -> AppName {
    AppName::parse(app).expect("a name")
}

/// Both streams of a program, for a failed test's last words.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
