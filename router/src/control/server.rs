//! The running router's side of its control socket.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use dinp_common::route::RouteUpdate;
use futures_util::StreamExt as _;
use nix::unistd::geteuid;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{FramedRead, LinesCodec};

use super::{ANSWER_MS, RunningRouter, SERVING, fds};
use crate::clock::now_ms;
use crate::keeper::Desk;
use crate::run::End;

/// Milliseconds a new process may take from receiving the sockets to serving.
const TAKEOVER_MS: u64 = 30_000;
/// Milliseconds between two reports to the new process where nothing changes.
const REPORT_MS: u64 = 500;
/// Milliseconds to pause after a failed accept.
const ACCEPT_PAUSE_MS: u64 = 100;
/// Bytes of one line: a table of 100,000 routes is about 30 MB.
const LINE_BYTES: usize = 256 * 1024 * 1024;

/// What the control socket can reach.
pub struct Control {
    pub desk: Desk,
    /// The sockets to hand over. Emptied with the drain, so that the old process holds none of them.
    pub listeners: Vec<TcpListener>,
    /// Its own listener, to hand over as well.
    pub socket: std::os::unix::net::UnixListener,
    /// The feed, which ends when another process takes over.
    pub feed: AbortHandle,
    pub owns_state: Arc<AtomicBool>,
    pub end: Arc<watch::Sender<Option<End>>>,
    pub started_ms: u64,
}

/// Serves until dropped.
pub async fn serve(control: Arc<Control>, listener: UnixListener) {
    let mut end = control.end.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // The new process listens here from now on.
            _ = end.wait_for(|end| *end == Some(End::Replaced)) => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let control = control.clone();
                tokio::spawn(async move {
                    if let Err(error) = answer(&control, stream).await {
                        tracing::warn!(error = format!("{error:#}"), "on the control socket");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the control socket cannot accept");
                sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

async fn answer(control: &Control, stream: UnixStream) -> anyhow::Result<()> {
    let peer = stream.peer_cred()?.uid();
    anyhow::ensure!(peer == 0 || peer == geteuid().as_raw(), "user {peer} may not control this router");
    let (read, mut write) = stream.into_split();
    let mut lines = FramedRead::new(read, LinesCodec::new_with_max_length(LINE_BYTES));
    let word =
        timeout(Duration::from_millis(ANSWER_MS), lines.next()).await.context("no word came")?.context("no word came")??;
    match word.as_str() {
        "status" => {
            let mut line = serde_json::to_vec(&control.running())?;
            line.push(b'\n');
            write.write_all(&line).await.context("answering")
        }
        "stop" => control.stop(End::Stopped, write).await,
        "leave" => control.stop(End::Left, write).await,
        "takeover" => control.hand_over(lines, write).await,
        _ => anyhow::bail!("{word:?} is not a word of this socket"),
    }
}

impl Control {
    fn running(&self) -> RunningRouter {
        let mut listen: Vec<SocketAddr> = self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        listen.sort_unstable();
        listen.dedup();
        RunningRouter {
            router: self.desk.reporter.id().clone(),
            pid: std::process::id(),
            uptime_ms: now_ms() - self.started_ms,
            listen,
            confirmed: self.desk.at(),
            draining: self.end.borrow().is_some(),
        }
    }

    /// Keeps the connection open: its end is the answer.
    async fn stop(&self, end: End, write: OwnedWriteHalf) -> anyhow::Result<()> {
        self.begin(end);
        std::future::pending::<()>().await;
        drop(write);
        Ok(())
    }

    /// Begins the end, unless it has begun.
    fn begin(&self, end: End) -> bool {
        self.end.send_if_modified(|begun| if begun.is_none() { begun.replace(end).is_none() } else { false })
    }

    /// Sends the sockets. From the moment the new process says that it serves, this one only drains; until then it
    /// goes on as if nothing had been asked.
    async fn hand_over(&self, mut lines: FramedRead<OwnedReadHalf, LinesCodec>, mut write: OwnedWriteHalf) -> anyhow::Result<()> {
        anyhow::ensure!(self.end.borrow().is_none(), "already stopping");
        let mut passed = vec![self.socket.as_fd()];
        passed.extend(self.listeners.iter().map(|listener| listener.as_fd()));
        anyhow::ensure!(passed.len() <= fds::MOST, "too many sockets to hand over");
        let stream: &UnixStream = write.as_ref();
        stream
            .async_io(Interest::WRITABLE, || fds::send(stream, &passed).map_err(Into::into))
            .await
            .context("sending the sockets")?;
        let word = timeout(Duration::from_millis(TAKEOVER_MS), lines.next()).await;
        match word {
            Ok(Some(Ok(word))) if word == SERVING => {}
            _ => anyhow::bail!("the new router did not come up; this one goes on"),
        }
        tracing::info!("another process has taken over; draining");
        self.feed.abort();
        self.owns_state.store(false, Ordering::Release);
        anyhow::ensure!(self.begin(End::Replaced), "already stopping");
        loop {
            let mut status = serde_json::to_vec(&self.desk.reporter.status())?;
            status.push(b'\n');
            write.write_all(&status).await.context("reporting to the new router")?;
            tokio::select! {
                // Cancel-safe: the codec keeps a partial line.
                line = lines.next() => {
                    let line = line.context("the new router is gone; draining alone")??;
                    let table: RouteUpdate = serde_json::from_str(&line).context("reading a table from the new router")?;
                    if let Err(refusal) = self.desk.offer(table).await? {
                        tracing::debug!(%refusal, "a table from the new router");
                    }
                }
                () = self.desk.reporter.changed() => {}
                () = sleep(Duration::from_millis(REPORT_MS)) => {}
            }
        }
    }
}
