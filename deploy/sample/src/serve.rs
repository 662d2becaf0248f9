//! Accepting connections, and ending without losing a request.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::answers;
use crate::identity::Identity;

/// What every request may look at.
pub struct App {
    pub identity: Identity,
    pub never_healthy: bool,
    /// True once SIGTERM has come; WebSockets close themselves then.
    pub stopping: watch::Receiver<bool>,
}

/// Pause after a failed accept: out of descriptors is over in moments, and spinning would burn the CPU share.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until SIGTERM, then finishes every request in flight, however long: the platform's own grace ends it.
pub async fn until_sigterm(listener: TcpListener, identity: Identity, never_healthy: bool) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopping) = watch::channel(false);
    let app = Arc::new(App { identity, never_healthy, stopping });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        tokio::spawn(connection(stream, app.clone()));
    }
    drop(listener);
    println!("SIGTERM: finishing what is in flight");
    stop.send_replace(true);
    // Every connection and every WebSocket holds the app until it has ended.
    while Arc::strong_count(&app) > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("done");
    Ok(())
}

/// One visitor's connection. A visitor who goes away in the middle is no news, so its errors are nobody's.
async fn connection(stream: TcpStream, app: Arc<App>) {
    let mut stopping = app.stopping.clone();
    let service = service_fn(move |request| {
        let app = app.clone();
        async move { Ok::<_, Infallible>(answers::answer(request, app)) }
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades());
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = async { stopping.wait_for(|stopping| *stopping).await.is_ok() } => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
