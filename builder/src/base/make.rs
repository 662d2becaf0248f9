//! Making a base: mmdebstrap writes a root file system, and Docker takes it as it comes.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use bollard::query_parameters::CreateImageOptions;
use bollard::{Docker, body_try_stream};
use bytes::Bytes;
use dinp_common::digest::Image;
use dinp_common::kind::Base;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::{Progress, own_name, sources, spec};
use crate::image::{BaseImage, remove};
use crate::refusal::Refusal;

/// Held while a base is made: two at once would only take turns at the disk and the network.
const LOCK: &str = "/run/dinp/base.lock";
/// How often a held lock is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(250);
/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(15 * 60);
/// How the folders it works in are named.
const FOLDER_PREFIX: &str = "dinp-base-";
/// Lines of output kept for the message of a failure.
const KEPT_LINES: usize = 12;
/// Bytes handed over at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Makes the base anew, also where one exists. Needs root and Debian; installs mmdebstrap if it is missing.
pub async fn base_make(docker: &Docker, cluster: &str, base: Base, progress: Progress<'_>) -> anyhow::Result<Image> {
    let _lock = lock(progress).await?;
    Ok(make(docker, cluster, base, progress).await?.image)
}

/// One at a time on this machine, whatever process asks.
pub(super) async fn lock(progress: Progress<'_>) -> anyhow::Result<File> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Refusal::new(
            "making a base image needs root: it unpacks packages with their owners",
            "run `sudo dinp bases make`, or name an image of your own in the builder's configuration (`[bases]`)",
        )
        .into());
    }
    let path = Path::new(LOCK);
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/run")))?;
    let file = File::create(path).with_context(|| format!("opening {LOCK}"))?;
    let mut said = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if !said => {
                said = true;
                progress("another base image is being made; waiting for it".to_owned());
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| format!("locking {LOCK}")),
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

pub(super) async fn make(docker: &Docker, cluster: &str, base: Base, progress: Progress<'_>) -> anyhow::Result<BaseImage> {
    let name = own_name(cluster, base);
    let before = super::inspect(docker, &name).await?;
    install_mmdebstrap(progress).await?;
    match tokio::time::timeout(DEADLINE, import(docker, cluster, base, progress)).await {
        Ok(done) => done?,
        Err(_) => {
            let why = format!("the base {base} was not made within {} minutes", DEADLINE.as_secs() / 60);
            return Err(Refusal::new(why, "look whether this machine reaches its package sources (`apt-get update`)").into());
        }
    }
    let made = super::inspect(docker, &name).await?.with_context(|| format!("{name} is gone right after it was made"))?;
    if let Some(old) = before.filter(|old| old.image.config != made.image.config) {
        // Images built on it keep its layers; only its own record goes.
        remove(docker, old.image.config.as_str()).await;
    }
    progress(format!("base image {base}: {}", crate::archive::size_words(made.image.bytes)));
    Ok(made)
}

async fn import(docker: &Docker, cluster: &str, base: Base, progress: Progress<'_>) -> anyhow::Result<()> {
    remove_abandoned();
    let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir().context("making a temporary folder")?;
    let mut run = Run::start(base, folder.path())?;
    let (chunks, ended) = run.root_fs();
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        repo: Some(format!("dinp-base/{base}")),
        tag: Some(cluster.to_owned()),
        changes: spec::changes(cluster, base),
        ..CreateImageOptions::default()
    };
    let mut answers = docker.create_image(Some(options), Some(body_try_stream(chunks)), None);
    let taken = async {
        while let Some(answer) = answers.next().await {
            answer.context("Docker, asked to import the base")?;
        }
        anyhow::Ok(())
    };
    let stderr = run.stderr.take();
    let (taken, ended, said) = tokio::join!(taken, run.watch(ended), said(stderr, base, progress));
    // mmdebstrap's own words explain more than Docker's, which only saw the stream end.
    if !ended? {
        let why = format!("the base {base} could not be made: {}", said.join(" / "));
        return Err(
            Refusal::new(why, "look whether `apt-get update` works on this machine, and try `dinp bases make` again").into()
        );
    }
    taken
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
struct Run {
    group: nix::unistd::Pid,
    child: Option<(Child, ChildStdout)>,
    stderr: Option<ChildStderr>,
}

type Ended = tokio::sync::oneshot::Receiver<io::Result<bool>>;

impl Run {
    fn start(base: Base, folder: &Path) -> anyhow::Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        // apt downloads as a user of its own, who must be able to enter.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        let sources = sources::read(Path::new("/"))?;
        let overlay = folder.join("overlay.tar");
        fs::write(&overlay, spec::overlay_tar(base)?)?;
        let mut command = Command::new("mmdebstrap");
        command.args(spec::arguments(base)).arg(&sources.suite).arg("-");
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
        Ok(Self { group, child: Some((child, stdout)), stderr })
    }

    /// The root file system as a tar. It ends with an error unless mmdebstrap ended well: Docker would take whatever
    /// came before for an image.
    fn root_fs(&mut self) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, Ended) {
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
    async fn watch(&self, ended: Ended) -> io::Result<bool> {
        match ended.await {
            Ok(ended) => ended,
            Err(_) => {
                self.end();
                Ok(true)
            }
        }
    }

    fn end(&self) {
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
async fn said(stderr: Option<ChildStderr>, base: Base, progress: Progress<'_>) -> Vec<String> {
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

async fn install_mmdebstrap(progress: Progress<'_>) -> anyhow::Result<()> {
    if runs("mmdebstrap", &["--version"]).await {
        return Ok(());
    }
    let install = ["install", "-y", "--no-install-recommends", "mmdebstrap"];
    progress("installing mmdebstrap, which makes the base".to_owned());
    if runs("apt-get", &install).await || (runs("apt-get", &["update"]).await && runs("apt-get", &install).await) {
        return Ok(());
    }
    Err(Refusal::new(
        "the package mmdebstrap is missing, and apt-get cannot install it",
        "`apt-get install mmdebstrap`, or name an image of your own in the builder's configuration (`[bases]`)",
    )
    .into())
}

async fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    matches!(command.kill_on_drop(true).status().await, Ok(status) if status.success())
}
