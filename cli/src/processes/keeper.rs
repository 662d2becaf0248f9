//! Starts the control plane and the router again when they end, where no systemd does.
//!
//! The keeper holds nothing that matters: killed or replaced, it leaves both running, and the next one adopts them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use super::layout::Layout;
use super::member::{Member, Role, generation, program};

/// The pause before the first restart, doubled for each that follows.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: a machine that was short of something serves again this soon after.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that has run this long was well, and its next end counts as the first.
const CALM: Duration = Duration::from_secs(30);
/// How often an adopted process is looked at; it is not our child, so nobody tells us of its end.
const ADOPTED_LOOK: Duration = Duration::from_millis(200);
/// How often logs are measured.
const LOG_LOOK: Duration = Duration::from_secs(60);
/// Bytes of one log file, above which it becomes the only old one.
const LOG_BYTES: u64 = 16 * 1024 * 1024;

/// What glibc's allocator is told (mallopt(3)): two arenas instead of eight for each core, and 128 KiB of free memory kept
/// at a heap's end rather than twice the largest block ever freed. Ten deploys leave the control plane with 6 MiB of its
/// own then, instead of 12.
pub const ALLOCATOR: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "2"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// Keeps both processes until SIGTERM.
pub async fn run(layout: &Layout) -> Result<()> {
    // A session of its own, so that no terminal's hang-up or Ctrl-C reaches it. It fails only where it is one already.
    let _ = nix::unistd::setsid();
    let me = Member::myself("")?;
    me.record(layout, Role::Keeper)?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        () = keep(layout, Role::Control, &me) => {}
        () = keep(layout, Role::Router, &me) => {}
        () = trim_logs(layout) => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Where a process of this role writes what it has to say.
pub fn log_path(layout: &Layout, role: Role) -> PathBuf {
    layout.logs().join(format!("{}.log", role.as_str()))
}

/// Nothing that fails here ends the keeper: what cannot be started on a full disk or without memory is tried again.
async fn keep(layout: &Layout, role: Role, me: &Member) {
    let mut failures = 0;
    loop {
        let since = Instant::now();
        match Member::find(layout, role) {
            Some(member) if is_current(layout, role, &member, me) => gone(&member).await,
            _ => {
                let ended = match spawn(layout, role) {
                    Ok(mut child) => child.wait().await.context("waiting for a child"),
                    Err(error) => Err(error),
                };
                match ended {
                    Ok(status) => eprintln!("{} ended: {status}", role.as_str()),
                    Err(error) => eprintln!("{} cannot be kept, and is tried again: {error:#}", role.as_str()),
                }
            }
        }
        failures = if since.elapsed() >= CALM { 0 } else { failures + 1 };
        tokio::time::sleep(pause(failures)).await;
    }
}

/// Whether a process is as it would be started now. One that is not is replaced: a router's successor asks it for its
/// sockets, and until it has them, the old one serves.
fn is_current(layout: &Layout, role: Role, member: &Member, me: &Member) -> bool {
    let same_binary = member.binary == me.binary;
    match role {
        Role::Control | Role::Keeper => same_binary,
        Role::Router => std::fs::read_to_string(layout.router_config())
            .map_or(same_binary, |config| member.generation == generation(&me.binary, &config)),
    }
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}

async fn gone(member: &Member) {
    while member.alive() {
        tokio::time::sleep(ADOPTED_LOOK).await;
    }
}

/// How a process of this role is started, as this same binary.
fn command(layout: &Layout, role: Role) -> Result<Command> {
    let mut command = Command::new(program());
    match role {
        Role::Control => command.args(["up", "--foreground"]),
        Role::Router => command.arg("router").arg("--config").arg(layout.router_config()),
        Role::Keeper => command.arg("keeper"),
    };
    command.arg("--state").arg(&layout.state).arg0("dinp").envs(ALLOCATOR);
    let log = open_log(&log_path(layout, role))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    Ok(command)
}

fn spawn(layout: &Layout, role: Role) -> Result<Child> {
    let mut command = tokio::process::Command::from(command(layout, role)?);
    command.spawn().with_context(|| format!("starting the {} process", role.as_str()))
}

/// Starts a keeper that outlives us.
pub fn start(layout: &Layout) -> Result<()> {
    // Nobody waits for it: it outlives this process, and init takes it over.
    command(layout, Role::Keeper)?.spawn().map(drop).context("starting the keeper")
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Keeps every log below its bound. Writers append, so a file cut to nothing under them goes on from its start.
async fn trim_logs(layout: &Layout) {
    loop {
        tokio::time::sleep(LOG_LOOK).await;
        for role in [Role::Control, Role::Router, Role::Keeper] {
            if let Err(error) = trim(&log_path(layout, role), LOG_BYTES) {
                eprintln!("the log of {} cannot be cut: {error}", role.as_str());
            }
        }
    }
}

fn trim(path: &Path, bound: u64) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > bound) {
        // On a full disk the old half is lost, and the bound holds all the same.
        let kept = std::fs::copy(path, path.with_extension("log.old"));
        OpenOptions::new().write(true).open(path)?.set_len(0)?;
        kept?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn pauses_grow_to_a_bound() {
        assert_eq!(pause(0), FIRST_PAUSE);
        assert_eq!(pause(3), Duration::from_millis(800));
        assert_eq!(pause(40), LONGEST_PAUSE);
    }

    #[test]
    fn a_log_too_long_becomes_the_old_one_and_its_writer_goes_on() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("control.log");
        let mut writer = open_log(&path).expect("open");
        writer.write_all(b"0123456789").expect("write");
        trim(&path, 10).expect("short enough");
        assert_eq!(std::fs::read(&path).expect("read"), b"0123456789");
        writer.write_all(b"!").expect("write");
        trim(&path, 10).expect("cut");
        writer.write_all(b"next").expect("write");
        assert_eq!(std::fs::read(&path).expect("read"), b"next");
        assert_eq!(std::fs::read(folder.path().join("control.log.old")).expect("old"), b"0123456789!");
    }
}
