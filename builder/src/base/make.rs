//! Making a base: mmdebstrap writes a root file system, and Docker takes it as it comes.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use bollard::query_parameters::CreateImageOptions;
use bollard::{Docker, body_try_stream};
use dinp_common::digest::Image;
use dinp_common::kind::Base;
use futures_util::StreamExt;
use tokio::process::Command;

use super::run::{Folder, Run, said};
use super::{Progress, own_name, spec};
use crate::image::{BaseImage, remove};
use crate::refusal::Refusal;

/// Held while a base is made: two at once would only take turns at the disk and the network.
const LOCK: &str = "/run/dinp/base.lock";
/// How often a held lock is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(250);
/// How long all of it may take.
const DEADLINE: Duration = Duration::from_secs(15 * 60);

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
    let folder = Folder::new(cluster)?;
    let mut run = Run::start(base, &folder)?;
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
