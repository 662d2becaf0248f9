//! Every route, and the document that is made from them.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::get;
use dinp_common::limits;
use dinp_common::problem::Problem;
use dinp_common::wire::AGENT_PATH;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::AppState;
use super::{
    agent, apps, artifacts, bases, builder, builds, changes, deploys, env, events, guard, hold, idempotency, layers, logs, nodes,
};
use super::{problem, rebalance, releases, sessions, system, tokens, watch};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "DINP",
        description = "Upload something built, have it run and served. Errors are problem+json (RFC 9457) with a stable code."
    ),
    components(schemas(Problem))
)]
struct Document;

/// The API, ready to be served or called in memory.
pub fn router(state: AppState) -> Router {
    let (router, document) = documented().split_for_parts();
    // Made once: the document does not change while the server runs.
    let json = finish(document).to_pretty_json().unwrap_or_default();
    router
        .route("/v1/openapi.json", get(move || std::future::ready(system::openapi(json.clone()))))
        .route(AGENT_PATH, get(agent::connect))
        .fallback(|| std::future::ready(StatusCode::NOT_FOUND.into_response()))
        .layer(from_fn_with_state(state.clone(), idempotency::once))
        .layer(DefaultBodyLimit::max(limits::JSON_BODY_BYTES))
        .layer(from_fn_with_state(state.clone(), guard::authorize))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn(problem::problems))
        .layer(from_fn(layers::trace))
        .with_state(state)
}

/// The OpenAPI 3.1 document of everything a person or a builder may call.
pub fn document() -> utoipa::openapi::OpenApi {
    finish(documented().into_openapi())
}

fn documented() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(system::version))
        .routes(routes!(sessions::session_create))
        .routes(routes!(sessions::session_end))
        .routes(routes!(sessions::link_create))
        .routes(routes!(sessions::whoami))
        .routes(routes!(tokens::token_list, tokens::token_create))
        .routes(routes!(tokens::token_delete))
        .routes(routes!(apps::app_list))
        .routes(routes!(apps::app_get, apps::app_delete))
        .routes(routes!(apps::app_instances))
        .routes(routes!(apps::app_why))
        .routes(routes!(logs::app_logs))
        .routes(routes!(releases::release_list))
        .routes(routes!(env::env_get, env::env_change))
        .routes(routes!(deploys::deploy_create, deploys::deploy_list))
        .routes(routes!(deploys::deploy_get))
        .routes(routes!(hold::deploy_cancel))
        .routes(routes!(hold::deploy_pause))
        .routes(routes!(hold::deploy_resume))
        .routes(routes!(changes::scale))
        .routes(routes!(changes::restart))
        .routes(routes!(changes::rollback))
        .routes(routes!(changes::stop))
        .routes(routes!(changes::start))
        .routes(routes!(artifacts::artifact_put))
        .routes(routes!(artifacts::artifact_head))
        .routes(routes!(artifacts::app_artifact_put))
        .routes(routes!(builds::build_get))
        .routes(routes!(builds::build_log))
        .routes(routes!(nodes::node_list))
        .routes(routes!(nodes::node_get))
        .routes(routes!(nodes::node_cordon))
        .routes(routes!(nodes::node_uncordon))
        .routes(routes!(nodes::drain_create, nodes::drain_get))
        .routes(routes!(rebalance::rebalance_create, rebalance::rebalance_get))
        .routes(routes!(rebalance::rebalance_cancel))
        .routes(routes!(events::event_list))
        .routes(routes!(watch::watch))
        .routes(routes!(bases::base_list))
        .routes(routes!(bases::bases_report))
        .routes(routes!(builder::claim))
        .routes(routes!(builder::artifact))
        .routes(routes!(builder::log))
        .routes(routes!(builder::finish))
}

fn finish(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("dinp_pat_...").build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    document
}
