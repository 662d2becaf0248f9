//! Processes of ours, by the records they leave.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::until;

/// How long a process may take to end once it was told to.
const END: Duration = Duration::from_secs(20);

/// A program that runs until it is told to end, or the test ends.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("a process id")
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("a child of ours")
    }

    /// Waits until it ends by itself.
    pub async fn end(&mut self, deadline: Duration) -> ExitStatus {
        until("the process ends", deadline, async || self.ended(), Option::is_some).await.expect("ended")
    }

    pub async fn terminate(mut self) {
        signal(self.pid(), Signal::SIGTERM);
        self.end(END).await;
    }

    pub async fn kill(mut self) {
        if self.ended().is_none() {
            signal(self.pid(), Signal::SIGKILL);
            self.end(END).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

pub fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap_or_else(|error| panic!("process {pid}: {error}"));
}

/// The process a record names, if it still runs: `control`, `router` or `keeper`.
pub fn recorded(run: &Path, role: &str) -> Option<i32> {
    let text = std::fs::read_to_string(run.join(format!("{role}.json"))).ok()?;
    let record: serde_json::Value = serde_json::from_str(&text).ok()?;
    let pid = i32::try_from(record["pid"].as_i64()?).ok()?;
    alive(pid).then_some(pid)
}

/// Whether a process exists and has not ended.
pub fn alive(pid: i32) -> bool {
    std::fs::read_to_string(stat(pid))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')))
}

fn stat(pid: i32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/stat"))
}

/// Waits until a process is gone.
pub async fn gone(pid: i32) {
    until("the process is gone", END, async || alive(pid), |alive| !alive).await;
}
