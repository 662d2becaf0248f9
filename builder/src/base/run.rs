//! One run of mmdebstrap, from its arguments to its end.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use dinp_common::kind::Base;
use futures_util::Stream;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::{Progress, sources, spec};

/// Killed processes are gone within milliseconds; two seconds of tries are plenty.
const REMOVE_TRIES: u32 = 20;
const REMOVE_PAUSE: Duration = Duration::from_millis(100);
/// How the folders it works in are named.
const FOLDER_PREFIX: &str = "dinp-base-";
/// Lines of output kept for the message of a failure.
const KEPT_LINES: usize = 12;
/// Bytes handed over at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// A folder that goes with everything in it, also while killed processes still write there for a moment.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new one. Those of killed processes go first.
    pub(super) fn new(cluster: &str) -> anyhow::Result<Self> {
        remove_abandoned();
        let folder = tempfile::Builder::new().prefix(&format!("{FOLDER_PREFIX}{cluster}-")).tempdir();
        Ok(Self(folder.context("making a temporary folder")?.keep()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for _ in 0..REMOVE_TRIES {
            match fs::remove_dir_all(&self.0) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return,
                Err(error) => tracing::debug!("{} stays for now: {error}", self.0.display()),
            }
            std::thread::sleep(REMOVE_PAUSE);
        }
        tracing::warn!("{} stays until the next base is made", self.0.display());
    }
}

/// Removes what a process that was killed while it held the lock left behind. Whoever calls holds the lock now.
fn remove_abandoned() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let abandoned = entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX);
        if abandoned && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!("{} stays: {error}", entry.path().display());
        }
    }
}

/// One mmdebstrap, killed with all its children when dropped.
pub(super) struct Run {
    group: nix::unistd::Pid,
    /// Once it has ended, its number may be another's.
    ended: AtomicBool,
    child: Option<(Child, ChildStdout)>,
    pub(super) stderr: Option<ChildStderr>,
}

type Ended = tokio::sync::oneshot::Receiver<io::Result<bool>>;

impl Run {
    pub(super) fn start(base: Base, folder: &Folder) -> anyhow::Result<Self> {
        let folder = folder.0.as_path();
        // apt downloads as a user of its own, who must be able to enter.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        let sources = sources::read(Path::new("/"))?;
        let overlay = folder.join("overlay.tar");
        fs::write(&overlay, spec::overlay_tar(base)?)?;
        let mut command = Command::new("mmdebstrap");
        command.args(spec::arguments(base)).args(sources::proxies(&apt_configuration())).arg(&sources.suite).arg("-");
        for (name, text) in [("host.list", &sources.lines), ("host.sources", &sources.stanzas)] {
            if !text.is_empty() {
                fs::write(folder.join(name), text)?;
                command.arg(folder.join(name));
            }
        }
        command.env("TMPDIR", folder).env("DINP_OVERLAY", &overlay).env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().context("starting mmdebstrap")?;
        let group = nix::unistd::Pid::from_raw(child.id().context("mmdebstrap ended at once")?.try_into()?);
        let stderr = child.stderr.take();
        let stdout = child.stdout.take().context("mmdebstrap's output")?;
        Ok(Self { group, ended: AtomicBool::new(false), child: Some((child, stdout)), stderr })
    }

    /// The root file system as a tar. It ends with an error unless mmdebstrap ended well: Docker would take whatever
    /// came before for an image.
    pub(super) fn root_fs(&mut self) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, Ended) {
        let (tell, ended) = tokio::sync::oneshot::channel();
        let state = self.child.take().map(|(child, out)| (child, out, tell));
        let chunks = futures_util::stream::unfold(state, |state| async {
            let (mut child, mut out, tell) = state?;
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            match (&mut out).take(CHUNK_BYTES as u64).read_to_end(&mut chunk).await {
                Ok(0) => {
                    let ended = child.wait().await.map(|status| status.success());
                    let failed = !matches!(ended, Ok(true));
                    let _ = tell.send(ended);
                    failed.then(|| (Err(io::Error::other("mmdebstrap failed")), None))
                }
                Ok(_) => Some((Ok(Bytes::from(chunk)), Some((child, out, tell)))),
                Err(error) => Some((Err(error), None)),
            }
        });
        (chunks, ended)
    }

    /// Whether it ended well; `true` as well where Docker hung up before, which is then what is told.
    pub(super) async fn watch(&self, ended: Ended) -> io::Result<bool> {
        match ended.await {
            Ok(ended) => {
                self.ended.store(true, Ordering::Relaxed);
                ended
            }
            Err(_) => {
                self.end();
                Ok(true)
            }
        }
    }

    fn end(&self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        // Already gone is fine.
        let _ = nix::sys::signal::killpg(self.group, nix::sys::signal::Signal::SIGKILL);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.end();
    }
}

/// Passes stages on as they come, and gives back the last lines.
pub(super) async fn said(stderr: Option<ChildStderr>, base: Base, progress: Progress<'_>) -> Vec<String> {
    let mut kept = std::collections::VecDeque::new();
    let Some(stderr) = stderr else { return Vec::new() };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let stages = ["running apt-get update", "downloading", "extracting", "installing", "creating tarball"];
        if let Some(text) = line.strip_prefix("I: ").filter(|text| stages.iter().any(|stage| text.starts_with(stage))) {
            progress(format!("base {base}: {}", text.trim_end_matches('.')));
        }
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
    let errors: Vec<String> = kept.iter().filter(|line| line.starts_with("E: ") || line.starts_with("Err:")).cloned().collect();
    if errors.is_empty() { kept.into() } else { errors }
}

/// What apt is told on this machine; nothing where it cannot say.
fn apt_configuration() -> String {
    let output = std::process::Command::new("apt-config").arg("dump").stdin(Stdio::null()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
