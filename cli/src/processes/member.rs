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
    /// Names binary and configuration. A record of a version that had none is of no generation.
    #[serde(default)]
    pub generation: String,
}

impl Member {
    /// This process, which was started with `configuration`.
    pub fn myself(configuration: &str) -> Result<Self> {
        let pid = i32::try_from(std::process::id()).context("the process id does not fit")?;
        let (started, binary) = (start_ticks(pid).context("/proc/self/stat")?, binary_id()?);
        Ok(Self { pid, started, generation: generation(&binary, configuration), binary })
    }

    fn path(layout: &Layout, role: Role) -> PathBuf {
        layout.run.join(format!("{}.json", role.as_str()))
    }

    /// Where the record stays while another process of the role has started, and this one still serves.
    fn path_before(&self, layout: &Layout, role: Role) -> PathBuf {
        layout.run.join(format!("{}-{}.json", role.as_str(), self.pid))
    }

    /// Leaves the record that [`Member::find`] reads. Those of the processes before stay until they have ended: a router
    /// serves until its successor has its sockets, which may never be.
    pub fn record(&self, layout: &Layout, role: Role) -> Result<()> {
        let write = |path: &Path, member: &Self| -> Result<()> {
            Layout::write_private(path, &serde_json::to_string(member)?).context("writing the process record")
        };
        for before in Self::recorded(layout, role).into_iter().filter(|before| before != self) {
            let path = before.path_before(layout, role);
            if before.alive() {
                write(&path, &before)?;
            } else if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(error).context("removing the record of a process that has ended");
            }
        }
        write(&Self::path(layout, role), self)
    }

    /// The processes of this role that still run, the one that was started last at the end.
    pub fn all(layout: &Layout, role: Role) -> Vec<Self> {
        let mut members = Self::recorded(layout, role);
        members.retain(Self::alive);
        members.sort_by_key(|member| (member.started, member.pid));
        members.dedup();
        members
    }

    /// The process of this role that was started last, if one still runs.
    pub fn find(layout: &Layout, role: Role) -> Option<Self> {
        Self::all(layout, role).pop()
    }

    /// Every record of this role that can be read.
    fn recorded(layout: &Layout, role: Role) -> Vec<Self> {
        let ours = |name: &str| {
            let rest = name.strip_prefix(role.as_str()).and_then(|rest| rest.strip_suffix(".json"));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let files = fs::read_dir(&layout.run).into_iter().flatten().flatten();
        files
            .filter(|file| file.file_name().to_str().is_some_and(ours))
            .filter_map(|file| serde_json::from_str(&fs::read_to_string(file.path()).ok()?).ok())
            .collect()
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

/// Names a process by its binary and its configuration: one of another generation is replaced.
pub fn generation(binary: &str, configuration: &str) -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    configuration.hash(&mut hasher);
    format!("{binary}-{:08x}", hasher.finish() as u32)
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

    fn layout(folder: &tempfile::TempDir) -> Layout {
        Layout { state: folder.path().into(), run: folder.path().into() }
    }

    #[test]
    fn a_record_names_only_the_process_that_wrote_it() {
        let folder = tempfile::tempdir().expect("folder");
        let layout = layout(&folder);
        let me = Member::myself("").expect("myself");
        me.record(&layout, Role::Router).expect("record");
        assert_eq!(Member::find(&layout, Role::Router), Some(me.clone()));
        let stranger = Member { started: me.started + 1, ..me };
        stranger.record(&layout, Role::Control).expect("record");
        assert_eq!(Member::find(&layout, Role::Control), None);
        assert_eq!(Member::find(&layout, Role::Keeper), None);
    }

    #[test]
    fn a_record_of_a_version_without_generations_is_read_and_of_none() {
        let folder = tempfile::tempdir().expect("folder");
        let layout = layout(&folder);
        let me = Member::myself("").expect("myself");
        let text = format!("{{\"pid\":{},\"started\":{},\"binary\":\"1a\"}}", me.pid, me.started);
        fs::write(Member::path(&layout, Role::Router), text).expect("write");
        let found = Member::find(&layout, Role::Router).expect("found");
        assert_eq!((found.pid, found.generation.as_str()), (me.pid, ""));
    }

    #[test]
    fn a_router_is_known_until_it_has_ended_whatever_starts_and_fails_after_it() {
        let folder = tempfile::tempdir().expect("folder");
        let layout = layout(&folder);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = i32::try_from(child.id()).expect("a process id");
        let serving = Member { pid, started: start_ticks(pid).expect("it runs"), ..Member::myself("old").expect("myself") };
        serving.record(&layout, Role::Router).expect("record");
        let me = Member { started: serving.started + 1, ..Member::myself("new").expect("myself") };
        // Started after it, and ended before it had its sockets: twice, as a keeper would.
        for _ in 0..2 {
            me.record(&layout, Role::Router).expect("record");
            assert_eq!(Member::find(&layout, Role::Router), Some(serving.clone()));
        }
        let me = Member::myself("new").expect("myself");
        me.record(&layout, Role::Router).expect("record");
        let mut known = Member::all(&layout, Role::Router);
        known.sort_by_key(|member| member.pid != pid);
        assert_eq!(known, [serving.clone(), me.clone()]);
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert_eq!(Member::all(&layout, Role::Router), std::slice::from_ref(&me));
        me.record(&layout, Role::Router).expect("record");
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1, "what has ended is forgotten");
    }

    #[test]
    fn a_router_with_another_configuration_is_of_another_generation() {
        assert!(generation("1a-2b", "x").starts_with("1a-2b-"));
        assert_eq!(generation("1a-2b", "x"), generation("1a-2b", "x"));
        assert_ne!(generation("1a-2b", "x"), generation("1a-2b", "y"));
    }
}
