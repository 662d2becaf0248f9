//! A listener's clients, one after the other.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::bounds::{ACCEPT_AGAIN, ALIVE_AFTER_SECONDS, Bounds, FULL_AGAIN};
use super::place::Placed;

pub struct Door {
    listener: TcpListener,
    bounds: Bounds,
    room: Arc<Semaphore>,
    /// When it was last said that nobody else gets in.
    full_said: Option<Instant>,
}

impl Door {
    pub fn open(listener: TcpListener, bounds: Bounds) -> Self {
        if let Err(error) = tell_kernel(&listener) {
            tracing::warn!(%error, "the kernel looks after no clients; connections of those that are gone stay longer");
        }
        Self { listener, bounds, room: Arc::new(Semaphore::new(bounds.connections)), full_said: None }
    }

    /// The next client, once there is room for one. Cancel-safe: a client that was not returned waits in the kernel.
    /// `None` only where there is no room any more for ever, which is never.
    pub async fn next(&mut self) -> Option<(Placed, SocketAddr)> {
        let place = self.place().await?;
        let (stream, peer) = self.accept().await;
        Some((Placed::new(stream, self.bounds.unread, place), peer))
    }

    async fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        if self.room.available_permits() == 0 && self.full_said.is_none_or(|said| said.elapsed() >= FULL_AGAIN) {
            self.full_said = Some(Instant::now());
            let open = self.bounds.connections;
            tracing::warn!(open, "as many connections are open as there may be; others wait until one of them ends");
        }
        self.room.clone().acquire_owned().await.ok()
    }

    async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_the_clients(&error) => tracing::debug!(%error, "a client left before it was accepted"),
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections; it is tried again");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

/// Linux gives these to every accepted socket. Without the first, small parts of an answer wait for the client's
/// acknowledgements; with the others, a client whose machine is gone is noticed though nothing is sent to it.
fn tell_kernel(listener: &TcpListener) -> nix::Result<()> {
    setsockopt(listener, sockopt::TcpNoDelay, &true)?;
    setsockopt(listener, sockopt::KeepAlive, &true)?;
    setsockopt(listener, sockopt::TcpKeepIdle, &ALIVE_AFTER_SECONDS)
}

/// Whether it was this one client's connection that failed, and the next may well be accepted.
fn is_the_clients(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}
