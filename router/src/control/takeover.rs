//! The new process's side of a takeover.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dinp_common::route::{RouteUpdate, RouterStatus};
use futures_util::StreamExt as _;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LinesCodec};

use super::{ANSWER_MS, READY, SERVING, connect, fds};
use crate::report::{Predecessor, Reporter};

/// Bytes of one status line: 100,000 instances in flight fit.
const LINE_BYTES: usize = 8 * 1024 * 1024;

/// What a running router handed over.
pub struct Received {
    pub control: UnixListener,
    pub listeners: Vec<TcpListener>,
    pub takeover: Takeover,
}

/// The connection to the router that is being replaced.
pub struct Takeover(UnixStream);

/// Asks the router behind `control` for its sockets; `None` if none runs there. Nothing that it says is parsed yet:
/// this may still be root.
///
/// # Errors
/// If one runs and does not hand over. It goes on serving.
pub fn take_over(control: &Path) -> anyhow::Result<Option<Received>> {
    let Some(mut stream) = connect(control).with_context(|| format!("connecting to {}", control.display()))? else {
        return Ok(None);
    };
    stream.write_all(b"takeover\n").context("asking the running router for its sockets")?;
    let mut received = fds::receive(&stream).context("the running router does not hand over")?.into_iter();
    let control: OwnedFd = received.next().context("the running router is stopping; try again once it is gone")?;
    let (control, listeners) = (UnixListener::from(control), received.map(TcpListener::from).collect());
    Ok(Some(Received { control, listeners, takeover: Takeover(stream) }))
}

/// Binds the control socket where no router runs. Only its owner and root may connect.
///
/// # Errors
/// If the path cannot be bound.
pub fn bind(control: &Path) -> anyhow::Result<UnixListener> {
    if let Some(parent) = control.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
    }
    if control.exists() {
        // Nobody listens there any more: a router that was killed.
        std::fs::remove_file(control).with_context(|| format!("removing {}", control.display()))?;
    }
    let listener = UnixListener::bind(control).with_context(|| format!("binding {}", control.display()))?;
    // Not through a link: this may be root in a folder of the router's user.
    fchmodat(AT_FDCWD, control, Mode::S_IRUSR | Mode::S_IWUSR, FchmodatFlags::NoFollowSymlink)
        .context("closing the control socket to others")?;
    Ok(listener)
}

impl Takeover {
    /// Makes the old process hear no server any more and counts it into this router's reports. What servers have heard
    /// confirmed is on disk from here on, and the old process goes on serving by it.
    ///
    /// # Errors
    /// If the old process does not answer. It then goes on as if nothing had been asked.
    pub async fn ready(self, reporter: &Arc<Reporter>) -> anyhow::Result<Replaced> {
        self.0.set_nonblocking(true)?;
        let (read, mut write) = tokio::net::UnixStream::from_std(self.0)?.into_split();
        write.write_all(format!("{READY}\n").as_bytes()).await.context("asking the old router to hold")?;
        let mut lines = FramedRead::new(read, LinesCodec::new_with_max_length(LINE_BYTES));
        let first = timeout(Duration::from_millis(ANSWER_MS), lines.next()).await.context("the old router does not answer")?;
        let status = first.context("the old router is gone")??;
        let old = reporter.predecessor(serde_json::from_str(&status).context("reading the old router's status")?);
        Ok(Replaced { lines, write, old })
    }
}

/// The process that is being replaced.
pub struct Replaced {
    lines: FramedRead<OwnedReadHalf, LinesCodec>,
    write: OwnedWriteHalf,
    old: Predecessor,
}

impl Replaced {
    /// Tells the old process that this one serves, which makes it drain.
    ///
    /// # Errors
    /// If it is gone.
    pub async fn serving(&mut self) -> anyhow::Result<()> {
        self.write.write_all(format!("{SERVING}\n").as_bytes()).await.context("telling the old router to drain")
    }

    /// Passes every table to the old process, and its reports to this router's, until it is empty.
    ///
    /// # Errors
    /// If it says something else than reports.
    pub async fn follow(mut self, mut table: watch::Receiver<Option<Arc<RouteUpdate>>>) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                // Cancel-safe: the codec keeps a partial line.
                line = self.lines.next() => match line {
                    Some(Ok(line)) => {
                        self.old.update(serde_json::from_str::<RouterStatus>(&line).context("reading the old router's status")?);
                    }
                    // Its end is its last word: nothing is in flight there any more.
                    Some(Err(_)) | None => return Ok(()),
                },
                Ok(()) = table.changed() => {
                    let newest = table.borrow_and_update().clone();
                    if let Some(newest) = newest {
                        let mut line = serde_json::to_vec(&*newest)?;
                        line.push(b'\n');
                        self.write.write_all(&line).await.context("passing a table to the old router")?;
                    }
                }
            }
        }
    }
}
