//! The end of a container's first process, seen as it happens.
//!
//! Docker announces an end some 30 ms after it; the kernel tells whoever holds the process's descriptor (pidfd_open(2))
//! at once, and a number that is given to another process later does not disturb it.

use std::os::fd::OwnedFd;
use std::sync::LazyLock;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;

use crate::engine::Engine;

/// Processes watched at once, each with a descriptor: half of the 1,024 that a process has by default. The end of any
/// other one is heard from Docker.
static WATCHED: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(512));

/// Waits for the end of a running container. `false`: it cannot be watched, and Docker will tell.
pub async fn end(engine: &Engine, container: &str) -> bool {
    let Ok(_room) = WATCHED.try_acquire() else { return false };
    let state = engine.inspect(container).await.ok().and_then(|inspected| inspected.state);
    let Some(process) = state.and_then(|state| open(container, state.pid?)) else {
        tracing::debug!(container, "its process cannot be watched from here");
        return false;
    };
    process.readable().await.is_ok()
}

/// The process, if it is the container's. The number is Docker's, and where the agent runs in a container itself it is
/// nobody's or a stranger's.
fn open(container: &str, pid: i64) -> Option<AsyncFd<OwnedFd>> {
    let number = i32::try_from(pid).ok().filter(|number| *number > 0)?;
    let process = pidfd_open(Pid::from_raw(number)?, PidfdFlags::NONBLOCK).ok()?;
    // Read after it was opened: a process that took the number over in between is in another control group.
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    if !groups.contains(container) {
        return None;
    }
    watch(process).ok()
}

#[expect(deprecated, reason = "its successor is unsafe for types that lie about their descriptor, which this one cannot")]
fn watch(process: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(process, Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A control group that a process of this machine is in, as a container's id is.
    fn group(pid: u32) -> String {
        std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process").trim().to_owned()
    }

    #[tokio::test]
    async fn an_end_is_seen_and_life_is_not() {
        let mut child = tokio::process::Command::new("sleep").arg("600").spawn().expect("starts");
        let pid = child.id().expect("it runs");
        let process = open(&group(pid), pid.into()).expect("it can be watched");
        let alive = tokio::time::timeout(std::time::Duration::from_millis(50), process.readable()).await;
        assert!(alive.is_err(), "it runs");
        child.start_kill().expect("kills");
        let ended = tokio::time::timeout(std::time::Duration::from_secs(10), process.readable()).await;
        assert!(ended.is_ok_and(|ended| ended.is_ok()), "its end is seen");
    }

    #[tokio::test]
    async fn a_process_that_is_not_the_containers_is_not_watched() {
        let pid = std::process::id();
        assert!(open("no-such-container", pid.into()).is_none());
        for nobody in [0, -1, i64::MAX] {
            assert!(open("", nobody).is_none());
        }
    }
}
