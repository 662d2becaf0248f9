//! A connection that reads what the server said before it closed.
//!
//! A server may refuse an upload half-way, answer and close. Writing the rest of the body then fails, and hyper ends
//! the exchange with that failure, though the answer lies ready to be read. Here a write to a closed connection is
//! taken as done and goes nowhere; reading then yields the answer, or the connection's own error where there is none.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

pub(crate) struct Listening<T>(pub T);

/// A write that met a closed connection counts as `len` bytes written.
fn to_nowhere(written: Poll<io::Result<usize>>, len: usize) -> Poll<io::Result<usize>> {
    written.map(|result| match result {
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(len),
        result => result,
    })
}

impl<T: Read + Unpin> Read for Listening<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<T: Write + Unpin> Write for Listening<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        to_nowhere(Pin::new(&mut self.0).poll_write(cx, buf), buf.len())
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        to_nowhere(Pin::new(&mut self.0).poll_write_vectored(cx, bufs), len)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl<T: Connection> Connection for Listening<T> {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}
