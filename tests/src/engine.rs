//! A Docker engine that a test may stop, freeze and start again.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::docker::Docker;
use crate::process::{Running, signal};
use crate::wait::until;

const START: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Engine {
    folder: TempDir,
    process: Option<Running>,
}

impl Engine {
    /// Chooses where it will be; nothing runs yet.
    pub fn prepare() -> Self {
        Self { folder: tempfile::Builder::new().prefix("dinp-engine-").tempdir().expect("a folder"), process: None }
    }

    pub fn docker(&self) -> Docker {
        Docker { socket: self.folder.path().join("docker.sock").display().to_string() }
    }

    /// Own sockets, data and namespaces: it shares nothing with any other engine.
    pub async fn start(&mut self) {
        let folder = self.folder.path();
        let at = |name: &str| folder.join(name).display().to_string();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).expect("a log");
        let own = folder.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let mut command = Command::new("dockerd");
        command
            .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid"), "--bridge", "none"])
            .args(["--host", &format!("unix://{}", at("docker.sock"))])
            .args(["--containerd-namespace", &own, "--containerd-plugins-namespace", &format!("{own}-plugins")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        self.process = Some(Running::start(&mut command));
        let docker = self.docker();
        until("dockerd answers", START, async || docker.try_run(&["version"]), Result::is_ok).await.expect("a version");
    }

    /// As a power cut leaves it: every container dead at once, then the engine gone.
    pub async fn lose_power(&mut self) {
        let docker = self.docker();
        let ids: Vec<String> = docker.lines(&["ps", "-q", "--no-trunc"]).into_iter().collect();
        let pids = ids.iter().map(|id| docker.run(&["inspect", "--format", "{{.State.Pid}}", id]));
        let pids: Vec<i32> = pids.map(|pid| pid.parse().expect("a process id")).collect();
        self.freeze();
        pids.into_iter().for_each(|pid| signal(pid, Signal::SIGKILL));
        self.thaw();
        self.stop().await;
    }

    pub async fn stop(&mut self) {
        self.process.take().expect("it runs").terminate().await;
    }

    pub fn freeze(&self) {
        signal(self.process.as_ref().expect("it runs").pid(), Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        signal(self.process.as_ref().expect("it runs").pid(), Signal::SIGCONT);
    }
}

impl Drop for Engine {
    /// Its containers end with it, and what it mounted goes.
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            self.thaw();
            let docker = self.docker();
            for id in docker.try_run(&["ps", "-aq"]).unwrap_or_default().lines() {
                let _ = docker.try_run(&["rm", "-f", id]);
            }
            signal(process.pid(), Signal::SIGTERM);
            for _ in 0..200 {
                if !crate::process::alive(process.pid()) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        unmount_below(self.folder.path());
    }
}

/// Unmounts what is left below a folder, the deepest first.
pub fn unmount_below(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let below: Vec<&str> =
        mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|m| Path::new(m).starts_with(folder)).collect();
    for mount in below.iter().rev() {
        let _ = Command::new("umount").args(["-l", mount]).status();
    }
}
