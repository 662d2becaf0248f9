//! The admin address: `/livez`, `/readyz`, `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::http;

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
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, readiness: Readiness, shutdown: CancellationToken) -> std::io::Result<()> {
    http::serve(listener, router(readiness), shutdown).await
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let report = readiness.report();
    if report.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, report.join("\n") + "\n")
    }
}
