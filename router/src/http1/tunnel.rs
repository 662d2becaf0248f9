//! An upgraded connection: bytes both ways until either side ends it, its instance has left, or the router drains.

use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::clock::now_ms;
use crate::cores::Drain;
use crate::flights::Flight;
use crate::frames::{Frames, GOING_AWAY};
use crate::limits::{CLOSE_MARGIN_MS, FRAME_END_MS, HALF_CLOSED_MS};

use super::connection::Hold;

/// Bytes read at once.
const BUFFER: usize = 16 * 1024;

/// The client's side.
pub struct Client {
    pub upgrade: OnUpgrade,
    pub websocket: bool,
}

/// What bounds a tunnel's life, and what it holds.
pub struct Tunnel {
    pub flight: Flight,
    /// Milliseconds it may go on after its instance has left the table.
    pub grace_ms: u64,
    pub drain: watch::Receiver<Option<Drain>>,
    pub hold: Option<Hold>,
}

impl Tunnel {
    pub async fn run(self, client: Client, endpoint: OnUpgrade) {
        // hyper ends these when the connection they wait for does.
        let (Ok(down), Ok(up)) = tokio::join!(client.upgrade, endpoint) else { return };
        let (client_read, client_write) = tokio::io::split(TokioIo::new(down));
        let (endpoint_read, endpoint_write) = tokio::io::split(TokioIo::new(up));
        let ending = ending(self.flight.instance().left(), self.grace_ms, self.drain.clone());
        let downward = Downward { from: endpoint_read, to: client_write, frames: client.websocket.then(Frames::default) };
        let mut downward = std::pin::pin!(downward.run(ending));
        let mut upward = std::pin::pin!(upward(client_read, endpoint_write));
        let half = Duration::from_millis(HALF_CLOSED_MS);
        tokio::select! {
            // Both directions are driven to the end; which one ends first does not matter.
            end = &mut downward => {
                let left = if end == End::Closed { Duration::from_millis(CLOSE_MARGIN_MS) } else { half };
                let _ = timeout(left, upward).await;
            }
            () = &mut upward => drop(timeout(half, downward).await),
        }
        drop((self.flight, self.hold));
    }
}

/// Returns when the tunnel should end: its instance has been away from the table for the whole grace, or the router's
/// drain is nearly over.
async fn ending(mut left: watch::Receiver<bool>, grace_ms: u64, mut drain: watch::Receiver<Option<Drain>>) {
    let gone = async {
        loop {
            if left.wait_for(|left| *left).await.is_err() {
                return;
            }
            if timeout(Duration::from_millis(grace_ms), left.wait_for(|left| !*left)).await.is_err() {
                return;
            }
        }
    };
    let drained = async {
        let until = drain.wait_for(Option::is_some).await.ok().and_then(|drain| *drain).map_or(0, |drain| drain.until_ms);
        sleep(Duration::from_millis(until.saturating_sub(now_ms() + CLOSE_MARGIN_MS))).await;
    };
    tokio::select! {
        () = gone => {}
        () = drained => {}
    }
}

type Reader = ReadHalf<TokioIo<Upgraded>>;
type Writer = WriteHalf<TokioIo<Upgraded>>;

/// How the endpoint's direction ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// One of the sockets did.
    Socket,
    /// The router closed it; the client's answer may still come.
    Closed,
}

/// Endpoint to client.
struct Downward {
    from: Reader,
    to: Writer,
    /// Where the upgrade is a WebSocket.
    frames: Option<Frames>,
}

impl Downward {
    async fn run(mut self, ending: impl Future<Output = ()>) -> End {
        let mut ending = std::pin::pin!(ending);
        let mut buffer = vec![0; BUFFER];
        let end = loop {
            let read = tokio::select! {
                // Cancel-safe: a read that is not returned has taken nothing.
                read = self.from.read(&mut buffer) => read,
                () = &mut ending => {
                    self.close(&mut buffer).await;
                    break End::Closed;
                }
            };
            match read {
                Ok(count) if count > 0 => {
                    let written = tokio::select! {
                        biased;
                        written = self.to.write_all(&buffer[..count]) => written,
                        // The client does not read: a Close frame would not reach it either.
                        () = &mut ending => break End::Closed,
                    };
                    if written.is_err() {
                        break End::Socket;
                    }
                    if let Some(frames) = &mut self.frames {
                        frames.advance(&buffer[..count]);
                    }
                }
                _ => break End::Socket,
            }
        };
        // The client may have closed first.
        let _ = self.to.shutdown().await;
        end
    }

    /// Tells a WebSocket client to go elsewhere, once the frame under way has ended. A frame that does not end in
    /// time, and any other protocol, is cut.
    async fn close(&mut self, buffer: &mut [u8]) {
        let Some(frames) = &mut self.frames else { return };
        let finish = async {
            while !frames.at_boundary() {
                let count = self.from.read(buffer).await.ok().filter(|count| *count > 0)?;
                let rest = frames.ends_after(&buffer[..count]).unwrap_or(count);
                self.to.write_all(&buffer[..rest]).await.ok()?;
                frames.advance(&buffer[..rest]);
            }
            if !frames.is_closed() {
                self.to.write_all(&GOING_AWAY).await.ok()?;
            }
            Some(())
        };
        let _ = timeout(Duration::from_millis(FRAME_END_MS), finish).await;
    }
}

/// Client to endpoint. Goes on after a Close of the router's own, so that the client's answer to it arrives.
async fn upward(mut from: Reader, mut to: Writer) {
    // Either socket's error ends the tunnel, and there is nobody to tell.
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}
