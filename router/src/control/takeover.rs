//! The new process's side of a takeover.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use dinp_common::route::{RouteUpdate, RouterStatus};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{oneshot, watch};
use tokio_util::codec::{FramedRead, LinesCodec};

use super::{SERVING, connect, fds};
use crate::report::Reporter;

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
    std::fs::set_permissions(control, std::fs::Permissions::from_mode(0o600)).context("closing the control socket to others")?;
    Ok(listener)
}

impl Takeover {
    /// Tells the old process that this one serves, and stays with it until it is empty: every table goes there, and
    /// its reports count into this router's. `counted` is resolved once they do, or there is nothing to count: only
    /// then may this process report to servers.
    ///
    /// # Errors
    /// If the old process does not follow; its requests can then not be reported.
    pub async fn finish(
        self,
        reporter: &Arc<Reporter>,
        mut table: watch::Receiver<Option<Arc<RouteUpdate>>>,
        counted: oneshot::Sender<()>,
    ) -> anyhow::Result<()> {
        self.0.set_nonblocking(true)?;
        let (read, mut write) = tokio::net::UnixStream::from_std(self.0)?.into_split();
        write.write_all(format!("{SERVING}\n").as_bytes()).await.context("telling the old router to drain")?;
        let mut lines = FramedRead::new(read, LinesCodec::new_with_max_length(LINE_BYTES));
        let first = lines.next().await.context("the old router is gone")??;
        let old = reporter.predecessor(serde_json::from_str(&first).context("reading the old router's status")?);
        // Whoever waits for it may have given up.
        let _ = counted.send(());
        loop {
            tokio::select! {
                // Cancel-safe: the codec keeps a partial line.
                line = lines.next() => match line {
                    Some(Ok(line)) => old.update(serde_json::from_str::<RouterStatus>(&line).context("reading the old router's status")?),
                    // Its end is its last word: nothing is in flight there any more.
                    Some(Err(_)) | None => return Ok(()),
                },
                Ok(()) = table.changed() => {
                    let newest = table.borrow_and_update().clone();
                    if let Some(newest) = newest {
                        let mut line = serde_json::to_vec(&*newest)?;
                        line.push(b'\n');
                        write.write_all(&line).await.context("passing a table to the old router")?;
                    }
                }
            }
        }
    }
}
