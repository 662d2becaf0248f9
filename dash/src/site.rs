//! The pages' table of contents, and what they share.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post, put};
use dinp_client::Client;
use dinp_common::problem::Problem;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::config::DashConfig;
use crate::refusal::{self, Refusal};
use crate::{actions, assets, guard, live, pages, passing};

/// Paths that are the API's and not a page's.
const API_PATHS: [&str; 5] = ["/v1", "/version", "/livez", "/readyz", "/metrics"];

/// What every handler shares. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Site(Arc<Shared>);

struct Shared {
    /// Speaks to the API for nobody; each request lends it its own token.
    client: Client,
    config: DashConfig,
    shutdown: CancellationToken,
}

impl Site {
    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn config(&self) -> &DashConfig {
        &self.0.config
    }

    pub(crate) fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }
}

/// One origin for browsers: the pages, which read `client`, and `api` on the API's own paths.
///
/// `client` carries no token. Streams end when `shutdown` is cancelled.
pub fn router(api: Router, client: Client, config: DashConfig, shutdown: CancellationToken) -> Router {
    let site = Site(Arc::new(Shared { client, config, shutdown }));
    let pages = pages()
        .fallback(nothing_here)
        .layer(from_fn_with_state(site.clone(), guard::admission))
        .layer(from_fn_with_state(site.clone(), refusal::render))
        .layer(from_fn(guard::headers))
        .with_state(site);
    Router::new().fallback(dispatch).with_state((pages, api))
}

/// A fallback instead of a nested route: the API's own routes then see the request as it came, path parameters included.
async fn dispatch(State((pages, api)): State<(Router, Router)>, request: Request) -> Response {
    let path = request.uri().path();
    let of_api = |own: &str| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let target = if API_PATHS.into_iter().any(of_api) { api } else { pages };
    target.oneshot(request).await.unwrap_or_else(|never| match never {})
}

fn pages() -> Router<Site> {
    Router::new()
        .route("/", get(|| async { Redirect::to("/apps") }))
        .route("/login", get(pages::login::show).post(pages::login::enter))
        .route("/logout", post(pages::login::leave))
        .route("/setup", get(pages::setup::show).post(pages::setup::enter))
        .route("/link/{token}", get(pages::setup::show_link))
        .route("/apps", get(pages::apps::show))
        .route("/apps/{app}", get(pages::overview::show))
        .route("/apps/{app}/releases", get(pages::releases::show))
        .route("/apps/{app}/releases/{release}/rollback", get(pages::rollback::show).post(actions::rollback))
        .route("/apps/{app}/logs", get(pages::logs::show))
        .route("/apps/{app}/events", get(pages::events::show))
        .route("/apps/{app}/settings", get(pages::settings::show))
        .route("/apps/{app}/deploys/{number}", get(pages::deploy::show))
        .route("/apps/{app}/deploys/{number}/cancel", post(actions::cancel))
        .route("/apps/{app}/deploys/{number}/pause", post(actions::pause))
        .route("/apps/{app}/deploys/{number}/resume", post(actions::resume))
        .route("/apps/{app}/scale", post(actions::scale))
        .route("/apps/{app}/restart", post(actions::restart))
        .route("/apps/{app}/stop", post(actions::stop))
        .route("/apps/{app}/start", post(actions::start))
        .route("/apps/{app}/delete", post(actions::delete))
        .route("/ui/stream", get(live::stream))
        .route("/ui/name", get(actions::name))
        .route("/ui/apps/{app}/artifact", put(passing::artifact))
        .route("/ui/apps/{app}/logs", get(passing::logs))
        .route("/ui/builds/{build}/log", get(passing::build_log))
        .route("/assets/{version}/{name}", get(assets::serve))
}

async fn nothing_here(request: Request) -> Response {
    let why = format!("There is no page at {}.", request.uri().path());
    Refusal::from(Problem::new(404, "page_not_found", why)).into_response()
}
