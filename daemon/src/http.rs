//! Serving HTTP until the process is to stop, and not much longer.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long requests under way may take to end once the process is to stop. A client that neither sends nor reads
/// would hold it for ever; below the stop time of the units that start us.
pub const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Serves until `shutdown`. Then nothing new is accepted, and what is under way has [`ENDS_WITHIN`] to end; connections
/// that are still open after it end with the process. Handlers can ask for the caller's address.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(ENDS_WITHIN).await;
    };
    tokio::select! {
        served = served.into_future() => served,
        () = overdue => {
            tracing::warn!(seconds = ENDS_WITHIN.as_secs(), "connections are still open after their time to end; they are cut");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    /// A server whose one page is answered when it is told so, and a request for that page under way.
    struct Scene {
        answer: Arc<Notify>,
        shutdown: CancellationToken,
        served: JoinHandle<std::io::Result<()>>,
        client: TcpStream,
    }

    async fn asked() -> Scene {
        let (answer, asked, shutdown) = (Arc::new(Notify::new()), Arc::new(Notify::new()), CancellationToken::new());
        let (told, noted) = (answer.clone(), asked.clone());
        let page = move || async move {
            noted.notify_one();
            told.notified().await;
            "done"
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let served = tokio::spawn(serve(listener, Router::new().route("/", get(page)), shutdown.clone()));
        let mut client = TcpStream::connect(address).await.expect("connects");
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("is sent");
        asked.notified().await;
        Scene { answer, shutdown, served, client }
    }

    #[tokio::test]
    async fn a_request_that_does_not_end_does_not_hold_the_process() {
        let scene = asked().await;
        tokio::time::pause();
        scene.shutdown.cancel();
        let ended = tokio::time::timeout(ENDS_WITHIN * 2, scene.served).await.expect("it is cut in its time");
        ended.expect("runs").expect("no error");
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_before_the_end() {
        let mut scene = asked().await;
        scene.shutdown.cancel();
        scene.answer.notify_one();
        let mut answer = String::new();
        scene.client.read_to_string(&mut answer).await.expect("is read");
        assert!(answer.ends_with("done"), "{answer}");
        scene.served.await.expect("runs").expect("no error");
    }
}
