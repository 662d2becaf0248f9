//! `dinp dash`: the pages as a process of their own, with the API behind them.

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use dinp_client::Client;
use dinp_daemon::admin::{self, Readiness};
use dinp_daemon::http::{Bounds, serve};
use http::HeaderMap;
use http::header::{CONNECTION, COOKIE, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::refusal::Refusal;
use crate::site;

/// Serves until `shutdown`.
///
/// # Errors
/// If an address cannot be bound, or the server's cannot be one.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let client = Client::connect(&config.server, None)?;
    let app = site::router(api(client.clone()), client, config.pages(), shutdown.clone());
    if let Some(address) = config.admin {
        let listener = TcpListener::bind(address).await.with_context(|| format!("the admin address {address}"))?;
        tokio::spawn(admin::serve(listener, Readiness::default(), shutdown.clone()));
    }
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("the dashboard's address {}", config.listen))?;
    tracing::info!(address = %config.listen, server = config.server, "dashboard listening");
    serve(listener, app, Bounds::of_all(), shutdown).await;
    Ok(())
}

/// The server's API on this origin: what is asked is handed on, with the caller's own credentials.
fn api(client: Client) -> Router {
    Router::new().fallback(pass).with_state(client)
}

async fn pass(State(client): State<Client>, mut request: Request) -> Response {
    strip(request.headers_mut());
    match client.forward(request).await {
        Ok(mut answer) => {
            strip(answer.headers_mut());
            answer.map(Body::new)
        }
        Err(error) => {
            let refusal = Refusal::from(error);
            (refusal.status(), axum::Json(refusal.into_problem())).into_response()
        }
    }
}

/// Takes off what belongs to one connection (RFC 9110, 7.6.1), and the cookie, which is the dashboard's alone.
fn strip(headers: &mut HeaderMap) {
    for name in [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE, HOST, COOKIE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}
