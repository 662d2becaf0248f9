//! Serving HTTP until the process is to stop, and not much longer.
//!
//! Nobody holds a connection by doing nothing: a head that does not come, a body that stands still and an answer that
//! nobody reads each end it in their time, and there are only so many ([`bounds`]). What is meant to last does, WebSockets
//! and answers that go on.

mod accept;
mod bounds;
mod place;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::timeout::TimeoutBody;

use accept::Door;
pub use bounds::Bounds;
use place::Placed;

/// How long requests under way may take to end once the process is to stop. A client that neither sends nor reads
/// would hold it for ever; below the stop time of the units that start us.
pub const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Serves until `shutdown`. Then nothing new is accepted, and what is under way has [`ENDS_WITHIN`] to end; connections
/// that are still open after it are cut. Handlers can ask for the caller's address.
pub async fn serve(listener: TcpListener, router: Router, bounds: Bounds, shutdown: CancellationToken) {
    let (connections, cut) = (TaskTracker::new(), CancellationToken::new());
    // They end with this function, however it ends.
    let _guard = cut.clone().drop_guard();
    let mut door = Door::open(listener, bounds);
    // Cancel-safe: once cancelled, nobody is accepted any more.
    while let Some((socket, peer)) = shutdown.run_until_cancelled(door.next()).await.flatten() {
        let served = converse(socket, peer, router.clone(), bounds, shutdown.clone());
        connections.spawn(cut.clone().run_until_cancelled_owned(served));
    }
    drop(door);
    connections.close();
    if tokio::time::timeout(ENDS_WITHIN, connections.wait()).await.is_err() {
        let open = connections.len();
        tracing::warn!(open, seconds = ENDS_WITHIN.as_secs(), "connections are still open after their time to end; they are cut");
    }
}

/// One connection, from its first request until it is closed or has become a WebSocket.
async fn converse(socket: Placed, peer: SocketAddr, router: Router, bounds: Bounds, shutdown: CancellationToken) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(|body| TimeoutBody::new(bounds.body, body));
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_header_size(bounds::HEAD_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        // Cancel-safe: it is only borrowed, and polled on below.
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a client's connection ended early");
    }
}
