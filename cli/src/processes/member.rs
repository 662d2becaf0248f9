//! The processes of an installation: who runs, from which binary, and whether it is still the same process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::layout::Layout;

/// The running binary, also where its file is gone.
const RUNNING: &str = "/proc/self/exe";

/// What a process is to its installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Server, agent, builder and dashboard in one.
    Control,
    Router,
    /// Starts the other two again where no systemd does.
    Keeper,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Router => "router",
            Self::Keeper => "keeper",
        }
    }
}

/// A process as it described itself when it started. A number alone would name a stranger after a reboot, so the
/// start time stands beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub pid: i32,
    /// Clock ticks between boot and the process's start, from `/proc/<pid>/stat`.
    pub started: u64,
    /// Identifies the binary's content.
    pub binary: String,
}

impl Member {
    pub fn myself() -> Result<Self> {
        let pid = i32::try_from(std::process::id()).context("the process id does not fit")?;
        Ok(Self { pid, started: start_ticks(pid).context("/proc/self/stat")?, binary: binary_id()? })
    }

    fn path(layout: &Layout, role: Role) -> PathBuf {
        layout.run.join(format!("{}.json", role.as_str()))
    }

    /// Leaves the record that [`Member::find`] reads.
    pub fn record(&self, layout: &Layout, role: Role) -> Result<()> {
        let text = serde_json::to_string(self)?;
        Layout::write_private(&Self::path(layout, role), &text).context("writing the process record")
    }

    /// Takes the record of this role away: whoever looks starts another process, to which a router hands over.
    pub fn forget(layout: &Layout, role: Role) -> Result<()> {
        match fs::remove_file(Self::path(layout, role)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("removing a process record"),
            _ => Ok(()),
        }
    }

    /// The process of this role, if it still runs.
    pub fn find(layout: &Layout, role: Role) -> Option<Self> {
        let text = fs::read_to_string(Self::path(layout, role)).ok()?;
        let member: Self = serde_json::from_str(&text).ok()?;
        member.alive().then_some(member)
    }

    pub fn alive(&self) -> bool {
        start_ticks(self.pid).is_some_and(|ticks| ticks == self.started)
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        if !self.alive() {
            return Ok(());
        }
        match kill(Pid::from_raw(self.pid), signal) {
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(error) => bail!("process {} cannot be signalled: {error}", self.pid),
        }
    }

    /// SIGTERM, then SIGKILL after `grace`. Returns once the process is gone.
    pub fn stop(&self, grace: Duration) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        if self.gone_within(grace) {
            return Ok(());
        }
        self.signal(Signal::SIGKILL)?;
        if self.gone_within(Duration::from_secs(5)) { Ok(()) } else { bail!("process {} does not end", self.pid) }
    }

    fn gone_within(&self, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        while self.alive() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

/// `None` for a process that does not exist, or has ended and waits for its parent.
fn start_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in parentheses and may hold anything, so fields count from the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Identifies the running binary by its size and the time it was written. A hash over 30 MB would cost tens of
/// milliseconds at every start; a copy of equal content written later counts as new, which costs a handover and no
/// request.
pub fn binary_id() -> Result<String> {
    identify(Path::new(RUNNING)).context("reading the running binary")
}

/// Where to start this same binary from: its own path, by which processes are called, unless something else has taken
/// its place there meanwhile.
pub fn program() -> PathBuf {
    let own = std::env::current_exe().ok();
    let same = own.filter(|path| identify(path).is_ok_and(|id| binary_id().is_ok_and(|running| id == running)));
    same.unwrap_or_else(|| RUNNING.into())
}

fn identify(path: &Path) -> io::Result<String> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = fs::metadata(path)?;
    Ok(format!("{:x}-{:x}-{:x}", meta.size(), meta.mtime(), meta.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_only_the_process_that_wrote_it() {
        let folder = tempfile::tempdir().expect("folder");
        let layout = Layout { state: folder.path().into(), run: folder.path().into() };
        let me = Member::myself().expect("myself");
        me.record(&layout, Role::Router).expect("record");
        assert_eq!(Member::find(&layout, Role::Router), Some(me.clone()));
        let stranger = Member { started: me.started + 1, ..me };
        stranger.record(&layout, Role::Router).expect("record");
        assert_eq!(Member::find(&layout, Role::Router), None);
        assert_eq!(Member::find(&layout, Role::Keeper), None);
    }

    #[test]
    fn a_process_whose_record_is_forgotten_is_not_found_though_it_runs() {
        let folder = tempfile::tempdir().expect("folder");
        let layout = Layout { state: folder.path().into(), run: folder.path().into() };
        Member::myself().expect("myself").record(&layout, Role::Router).expect("record");
        Member::forget(&layout, Role::Router).expect("forgotten");
        assert_eq!(Member::find(&layout, Role::Router), None);
        Member::forget(&layout, Role::Router).expect("nothing is left to forget");
    }
}
