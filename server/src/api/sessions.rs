//! Signing in: a one-time link or an access token becomes a browser's session.

use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use dinp_common::api::{LinkCreated, SessionCreated, SessionRequest, Whoami};
use dinp_common::name::TeamName;
use dinp_common::problem::Problem;
use dinp_common::token::{Token, TokenKind};

use super::extract::{Body, Peer};
use super::problem::{ApiError, ApiResult};
use super::{AppState, guard};
use crate::auth::{self, Principal};

/// Exchanges the text of a one-time link or an access token for a session. Needs no other token.
#[utoipa::path(post, path = "/v1/sessions", tag = "access", operation_id = "session_create", security(()),
    request_body = SessionRequest, responses((status = 201, body = SessionCreated), (status = "default", body = Problem)))]
pub async fn session_create(
    State(state): State<AppState>,
    Peer(peer): Peer,
    Body(request): Body<SessionRequest>,
) -> ApiResult<(StatusCode, Json<SessionCreated>)> {
    let refused = || guard::invalid().suggest("a link works once and for 15 minutes: dinp open --dashboard makes a new one");
    let (kind, token) = Token::parse(request.token.trim()).ok_or_else(refused)?;
    let hash = token.hash();
    if !state.throttle.admits(peer, &hash, Instant::now()) {
        return Err(guard::braked());
    }
    let owner = match kind {
        TokenKind::Link => auth::link_use(&state.store, &token).await?,
        TokenKind::Personal => auth::recognise(&state.store, kind, &token).await?,
        TokenKind::Session | TokenKind::Agent | TokenKind::Builder => None,
    };
    let Some(owner) = owner else {
        state.throttle.failed(peer, Instant::now());
        return Err(refused());
    };
    let made = auth::session_create(&state.store, "browser", &owner).await?;
    // The link is used up and the session is made: that old ones stay a while is no reason to refuse it.
    if let Err(error) = auth::forget_expired(&state.store).await {
        tracing::warn!(%error, "expired tokens cannot be removed; the next sign-in tries again");
    }
    let token = made.token.expose().to_owned();
    Ok((StatusCode::CREATED, Json(SessionCreated { token, user: owner.user, expires_in: made.lasts.as_secs() })))
}

/// Ends the session that asks.
#[utoipa::path(delete, path = "/v1/sessions/current", tag = "access", operation_id = "session_end",
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn session_end(State(state): State<AppState>, Extension(by): Extension<Principal>) -> ApiResult<StatusCode> {
    if by.kind != TokenKind::Session {
        return Err(ApiError::conflict("not_a_session", "this is an access token, not a session")
            .suggest(format!("revoke it with DELETE /v1/tokens/{}", by.token)));
    }
    state.store.token_delete(&by.token).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a link that signs one browser in, once.
#[utoipa::path(post, path = "/v1/links", tag = "access", operation_id = "link_create",
    responses((status = 201, body = LinkCreated), (status = "default", body = Problem)))]
pub async fn link_create(
    State(state): State<AppState>,
    Extension(by): Extension<Principal>,
) -> ApiResult<(StatusCode, Json<LinkCreated>)> {
    let made = auth::link_create(&state.store, &by).await?;
    let url = format!("{}/link/{}", state.config.dashboard_url, made.token.expose());
    Ok((StatusCode::CREATED, Json(LinkCreated { url, expires_in: made.lasts.as_secs() })))
}

/// Who asks.
#[utoipa::path(get, path = "/v1/whoami", tag = "access", operation_id = "whoami",
    responses((status = 200, body = Whoami), (status = "default", body = Problem)))]
pub async fn whoami(Extension(by): Extension<Principal>) -> Json<Whoami> {
    Json(Whoami { user: by.user, team: TeamName::default_team().to_string(), token: by.name })
}
