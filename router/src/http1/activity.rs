//! What a client's connection is doing, noted by its socket as bytes pass.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::clock::now_ms;
use crate::limits::{Activity, Phase};

/// Shared by the socket, the request under way and the sweep, all on one thread; atomics only because hyper wants a
/// socket that could be sent to another thread.
pub struct Clock {
    phase: AtomicU8,
    since_ms: AtomicU64,
    /// 0: not.
    write_stalled_ms: AtomicU64,
    body_stalled_ms: AtomicU64,
}

const IDLE: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;

impl Clock {
    pub fn new() -> Self {
        Self {
            phase: AtomicU8::new(IDLE),
            since_ms: AtomicU64::new(now_ms()),
            write_stalled_ms: AtomicU64::new(0),
            body_stalled_ms: AtomicU64::new(0),
        }
    }

    pub fn busy(&self) {
        self.enter(BUSY);
    }

    pub fn idle(&self) {
        self.enter(IDLE);
        self.body_stalled_ms.store(0, Ordering::Relaxed);
    }

    /// A read of the request's body waits, or has ended.
    pub fn body_waits(&self, waits: bool) {
        note(&self.body_stalled_ms, waits);
    }

    pub fn activity(&self) -> Activity {
        let phase = match self.phase.load(Ordering::Relaxed) {
            IDLE => Phase::Idle,
            HEAD => Phase::Head,
            _ => Phase::Busy,
        };
        let since = |cell: &AtomicU64| Some(cell.load(Ordering::Relaxed)).filter(|ms| *ms > 0);
        let stalled_since_ms = since(&self.write_stalled_ms).or(since(&self.body_stalled_ms));
        Activity { phase, since_ms: self.since_ms.load(Ordering::Relaxed), stalled_since_ms }
    }

    fn enter(&self, phase: u8) {
        self.phase.store(phase, Ordering::Relaxed);
        self.since_ms.store(now_ms(), Ordering::Relaxed);
    }

    fn bytes_arrived(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.enter(HEAD);
        }
    }

    fn write_waits(&self, waits: bool) {
        note(&self.write_stalled_ms, waits);
    }
}

fn note(cell: &AtomicU64, waits: bool) {
    let noted = cell.load(Ordering::Relaxed);
    if waits && noted == 0 {
        cell.store(now_ms(), Ordering::Relaxed);
    } else if !waits && noted != 0 {
        cell.store(0, Ordering::Relaxed);
    }
}

/// A client's socket.
pub struct ClientIo {
    pub io: TokioIo<TcpStream>,
    pub clock: Arc<Clock>,
}

impl Read for ClientIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_read(cx, buf);
        if polled.is_ready() {
            self.clock.bytes_arrived();
        }
        polled
    }
}

impl Write for ClientIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.clock.write_waits(polled.is_pending());
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.clock.write_waits(polled.is_pending());
        polled
    }
}
