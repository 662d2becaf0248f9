//! The running router's side of its control socket.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use dinp_common::route::RouteUpdate;
use futures_util::StreamExt as _;
use nix::unistd::geteuid;
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::codec::{FramedRead, LinesCodec};

use super::{ANSWER_MS, READY, RunningRouter, SERVING, fds};
use crate::clock::now_ms;
use crate::keeper::Desk;
use crate::run::End;

/// Milliseconds a new process may take for each step between receiving the sockets and serving.
const TAKEOVER_MS: u64 = 30_000;
/// Milliseconds between two reports to the new process where nothing changes.
const REPORT_MS: u64 = 500;
/// Milliseconds to pause after a failed accept.
const ACCEPT_PAUSE_MS: u64 = 100;
/// Bytes of one line: a table of 100,000 routes is about 30 MB.
const LINE_BYTES: usize = 256 * 1024 * 1024;

type Lines = FramedRead<OwnedReadHalf, LinesCodec>;

/// What the control socket can reach.
pub struct Control {
    desk: Desk,
    listen: Vec<SocketAddr>,
    /// To hand over. Dropped when the drain begins: one that nobody accepts from would keep clients waiting.
    listeners: Mutex<Vec<TcpListener>>,
    /// The control socket itself, to hand over as well.
    socket: std::os::unix::net::UnixListener,
    /// Whether servers are not to be heard, since another process is taking over.
    pub hold: watch::Sender<bool>,
    owns_state: Arc<AtomicBool>,
    end: watch::Sender<Option<End>>,
    started_ms: u64,
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
    /// `owns_state` is cleared when another process takes over.
    pub fn new(
        desk: Desk,
        listeners: Vec<TcpListener>,
        socket: std::os::unix::net::UnixListener,
        owns_state: Arc<AtomicBool>,
    ) -> Self {
        let mut listen: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        listen.sort_unstable();
        listen.dedup();
        let (hold, end) = (watch::Sender::new(false), watch::Sender::new(None));
        Self { desk, listen, listeners: Mutex::new(listeners), socket, hold, owns_state, end, started_ms: now_ms() }
    }

    /// Waits for the router to be stopped or replaced.
    pub async fn ended(&self) -> End {
        let ended = self.end.subscribe().wait_for(Option::is_some).await.ok().and_then(|end| *end);
        ended.unwrap_or(End::Stopped)
    }

    /// Begins the end, and returns the one that has begun, this or an earlier one.
    pub fn begin_or_begun(&self, end: End) -> End {
        self.begin(end);
        self.end.borrow().unwrap_or(end)
    }

    fn running(&self) -> RunningRouter {
        RunningRouter {
            router: self.desk.reporter.id().clone(),
            pid: std::process::id(),
            uptime_ms: now_ms() - self.started_ms,
            listen: self.listen.clone(),
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

    fn pass_sockets(&self, stream: &UnixStream) -> std::io::Result<()> {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let mut passed = vec![self.socket.as_fd()];
        passed.extend(listeners.iter().map(|listener| listener.as_fd()));
        fds::send(stream, &passed).map_err(Into::into)
    }

    /// Lets go of the listening sockets.
    pub fn stop_listening(&self) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Hands over. From the moment the new process says that it serves, this one only drains; until then it
    /// goes on as if nothing had been asked.
    async fn hand_over(&self, mut lines: Lines, mut write: OwnedWriteHalf) -> anyhow::Result<()> {
        anyhow::ensure!(self.end.borrow().is_none(), "already stopping");
        let stream: &UnixStream = write.as_ref();
        stream.async_io(Interest::WRITABLE, || self.pass_sockets(stream)).await.context("sending the sockets")?;
        said(&mut lines, READY).await?;
        self.hold.send_replace(true);
        if let Err(error) = self.until_served(&mut lines, &mut write).await {
            self.hold.send_replace(false);
            return Err(error);
        }
        tracing::info!("another process has taken over; draining");
        self.owns_state.store(false, Ordering::Release);
        anyhow::ensure!(self.begin(End::Replaced), "already stopping");
        loop {
            self.report(&mut write).await?;
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

    async fn until_served(&self, lines: &mut Lines, write: &mut OwnedWriteHalf) -> anyhow::Result<()> {
        self.report(write).await?;
        said(lines, SERVING).await
    }

    async fn report(&self, write: &mut OwnedWriteHalf) -> anyhow::Result<()> {
        let mut status = serde_json::to_vec(&self.desk.reporter.status())?;
        status.push(b'\n');
        write.write_all(&status).await.context("reporting to the new router")
    }
}

/// Waits for the new process to say `word`.
async fn said(lines: &mut Lines, word: &str) -> anyhow::Result<()> {
    match timeout(Duration::from_millis(TAKEOVER_MS), lines.next()).await {
        Ok(Some(Ok(said))) if said == word => Ok(()),
        _ => anyhow::bail!("the new router did not come up; this one goes on"),
    }
}
