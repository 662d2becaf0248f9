//! Routes from a server on the same machine: JSON lines over a unix socket.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use dinp_common::route::{RouteUpdate, RouterMessage};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::codec::{FramedRead, LinesCodec};

use super::{After, DAMAGED_PAUSE_MS, Feed, Link, REPORT_MS, after};
use crate::keeper::Desk;

/// Bytes of one line: a table of 100,000 routes is about 30 MB.
const LINE_BYTES: usize = 256 * 1024 * 1024;
/// Milliseconds until a line to the server must be written. A server that reads nothing for longer hangs.
const WRITE_MS: u64 = 5_000;

pub struct UnixFeed(pub PathBuf);

impl UnixFeed {
    async fn connect(&self) -> anyhow::Result<UnixStream> {
        UnixStream::connect(&self.0).await.with_context(|| format!("connecting to {}", self.0.display()))
    }
}

impl Feed for UnixFeed {
    async fn session(&self, desk: &Desk, link: &Link) -> anyhow::Result<()> {
        let (read, mut write) = self.connect().await?.into_split();
        let mut lines = FramedRead::new(read, LinesCodec::new_with_max_length(LINE_BYTES));
        send(&mut write, &RouterMessage::Status(desk.reporter.status())).await?;
        let resync = RouterMessage::Resync { router: desk.reporter.id().clone() };
        send(&mut write, &resync).await?;
        link.is_up();
        let mut next_report = in_ms(REPORT_MS);
        let mut ask_again: Option<Instant> = None;
        loop {
            tokio::select! {
                // Cancel-safe: the codec keeps a partial line; an update is offered only after this branch was taken.
                line = lines.next() => {
                    let line = line.context("the server closed the feed")??;
                    let update: RouteUpdate = serde_json::from_str(&line).context("reading an update")?;
                    match after(desk.offer(update).await?) {
                        After::Nothing => {}
                        After::Resync => send(&mut write, &resync).await?,
                        After::ResyncLater => ask_again = Some(in_ms(DAMAGED_PAUSE_MS)),
                    }
                }
                () = desk.reporter.changed() => next_report = Instant::now(),
                () = sleep_until(next_report) => {
                    next_report = in_ms(REPORT_MS);
                    send(&mut write, &RouterMessage::Status(desk.reporter.status())).await?;
                }
                () = sleep_until(ask_again.unwrap_or(next_report)), if ask_again.is_some() => {
                    ask_again = None;
                    send(&mut write, &resync).await?;
                }
            }
        }
    }

    async fn goodbye(&self, desk: &Desk) -> anyhow::Result<()> {
        let mut stream = self.connect().await?.into_split().1;
        send(&mut stream, &RouterMessage::Status(desk.reporter.status())).await?;
        send(&mut stream, &RouterMessage::Goodbye { router: desk.reporter.id().clone() }).await?;
        stream.shutdown().await.context("saying goodbye")
    }
}

fn in_ms(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms)
}

async fn send(write: &mut OwnedWriteHalf, message: &RouterMessage) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    timeout(Duration::from_millis(WRITE_MS), write.write_all(&line)).await.context("the server does not read")??;
    Ok(())
}
