//! The admin address: `/livez`, `/readyz`, `/metrics`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http::{self, Bounds};

/// The pause between two tries to bind an address that is not free.
const AGAIN_AFTER: Duration = Duration::from_millis(250);
/// Tries after which it is said that the address is not free: a process that was replaced gives it back before.
const SAID_AFTER: u32 = 40;
/// How often metrics are cleaned up: histograms grow with every sample until somebody reads them.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Which parts of a process are not ready, and why. Ready means none.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Readiness {
    pub fn not_ready(&self, part: &'static str, why: impl Into<String>) {
        self.parts().insert(part, why.into());
    }

    pub fn ready(&self, part: &'static str) {
        self.parts().remove(part);
    }

    /// The parts that are not ready, one line each; empty when all are.
    pub fn report(&self) -> Vec<String> {
        self.parts().iter().map(|(part, why)| format!("{part}: {why}")).collect()
    }

    fn parts(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The process's one metrics registry, installed at first use.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: LazyLock<PrometheusHandle> = LazyLock::new(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Another recorder can only be a test's; its numbers are then not ours to show.
        let _ = metrics::set_global_recorder(recorder);
        handle
    });
    &HANDLE
}

/// The routes, for a process that serves them beside others.
pub fn router(readiness: Readiness) -> Router {
    metrics();
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(|| async { metrics().render() }))
        .with_state(readiness)
}

/// Serves the admin address until `shutdown`.
pub async fn serve(listener: TcpListener, readiness: Readiness, shutdown: CancellationToken) {
    let upkeep = async {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            metrics().run_upkeep();
        }
    };
    tokio::select! {
        () = http::serve(listener, router(readiness), Bounds::of_admin(), shutdown) => {}
        () = upkeep => {}
    }
}

/// The same for a process that has more important things to do than to serve it: an address that is not free is tried
/// again until it is, and nothing that goes wrong here ends the process.
pub async fn serve_when_free(address: SocketAddr, readiness: Readiness, shutdown: CancellationToken) {
    let Some(listener) = shutdown.run_until_cancelled(bound(address)).await else { return };
    match listener.local_addr() {
        Ok(at) => tracing::info!(%at, "/livez, /readyz and /metrics are served"),
        Err(error) => tracing::warn!(%error, "the admin address is not known"),
    }
    serve(listener, readiness, shutdown).await;
}

async fn bound(address: SocketAddr) -> TcpListener {
    let mut tries = 0u32;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if tries == SAID_AFTER => {
                tracing::warn!(%error, %address, "/livez, /readyz and /metrics are not served; everything else works, and it is tried again");
            }
            Err(error) => tracing::debug!(%error, %address, "the admin address is not free yet"),
        }
        tries = tries.saturating_add(1);
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let report = readiness.report();
    if report.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, report.join("\n") + "\n")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    async fn ask(address: SocketAddr, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn an_address_that_becomes_free_is_served_then() {
        let owner = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = owner.local_addr().expect("its address");
        let (readiness, shutdown) = (Readiness::default(), CancellationToken::new());
        readiness.not_ready("store", "it is away");
        let served = tokio::spawn(serve_when_free(address, readiness.clone(), shutdown.clone()));
        tokio::time::sleep(AGAIN_AFTER).await;
        assert!(!served.is_finished(), "it waits for the address");
        drop(owner);
        let begun = std::time::Instant::now();
        let answer = loop {
            match ask(address, "/readyz").await {
                Ok(answer) => break answer,
                Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("store: it is away\n"), "{answer}");
        readiness.ready("store");
        assert!(ask(address, "/readyz").await.expect("an answer").starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/livez").await.expect("an answer").ends_with("ok\n"));
        shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(20), served).await.expect("it ends").expect("in order");
    }
}
