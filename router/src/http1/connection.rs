//! A client's connection from accept to close.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};

use crate::headers::Peer;
use crate::limits::{HEAD_BYTES, HEAD_FIELDS};

use super::activity::{ClientIo, Clock};
use super::{Core, Watched, request};

/// Milliseconds to wait after a failed accept: without file descriptors, trying at once would only burn the core.
const ACCEPT_PAUSE_MS: u64 = 50;

/// What a connection, or the tunnel it became, holds while it lives.
pub struct Hold {
    open: Arc<watch::Sender<usize>>,
    _room: OwnedSemaphorePermit,
}

impl Hold {
    fn new(core: &Core, room: OwnedSemaphorePermit) -> Self {
        core.open.send_modify(|open| *open += 1);
        Self { open: core.open.clone(), _room: room }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.open.send_modify(|open| *open -= 1);
    }
}

/// Everything a request needs to know of its connection.
pub struct Connection {
    pub core: Rc<Core>,
    pub peer: Peer,
    pub clock: Arc<Clock>,
    /// Moves into the tunnel at an upgrade.
    pub hold: std::cell::RefCell<Option<Hold>>,
}

/// Accepts until the router drains; then what the kernel has queued already, since closing would reset it.
pub async fn accept(core: Rc<Core>, listener: std::net::TcpListener) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a core cannot listen");
            return;
        }
    };
    // A core that may still accept counts as open, so that a drain waits for it.
    core.open.send_modify(|open| *open += 1);
    accept_until_drained(&core, &listener).await;
    core.open.send_modify(|open| *open -= 1);
}

async fn accept_until_drained(core: &Rc<Core>, listener: &TcpListener) {
    let mut drain = core.drain.clone();
    loop {
        let room = core.room.clone().acquire_owned();
        let accepted = tokio::select! {
            // Cancel-safe: a permit or a connection that was not returned stays where it is.
            accepted = async { (room.await, listener.accept().await) } => accepted,
            _ = drain.wait_for(Option::is_some) => break,
        };
        match accepted {
            (Ok(room), Ok((stream, peer))) => start(core, stream, peer, room),
            (_, Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
            }
            (Err(_), _) => return,
        }
    }
    while let Some(Ok((stream, peer))) = listener.accept().now_or_never() {
        let Ok(room) = core.room.clone().try_acquire_owned() else { return };
        start(core, stream, peer, room);
    }
}

fn start(core: &Rc<Core>, stream: TcpStream, peer: std::net::SocketAddr, room: OwnedSemaphorePermit) {
    let hold = Hold::new(core, room);
    tokio::task::spawn_local(serve(core.clone(), stream, Peer::new(peer.ip()), hold));
}

async fn serve(core: Rc<Core>, stream: TcpStream, peer: Peer, hold: Hold) {
    let (clock, close) = (Arc::new(Clock::new()), Rc::new(Notify::new()));
    let key = core.next_connection.replace(core.next_connection.get() + 1);
    core.connections.borrow_mut().insert(key, Watched { clock: clock.clone(), close: close.clone() });
    let io = ClientIo { io: TokioIo::new(stream), clock: clock.clone() };
    let connection = Rc::new(Connection { core: core.clone(), peer, clock, hold: Some(hold).into() });
    let service = service_fn(move |request| request::answer(connection.clone(), request));
    let serving =
        http1::Builder::new().max_headers(HEAD_FIELDS).max_header_size(HEAD_BYTES).serve_connection(io, service).with_upgrades();
    tokio::select! {
        ended = serving => if let Err(error) = ended {
            tracing::debug!(%error, "a client's connection ended early");
        },
        () = close.notified() => {}
    }
    core.connections.borrow_mut().remove(&key);
}
