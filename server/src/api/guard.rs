//! Authorization: every request passes here, and what nobody allowed is refused.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dinp_common::token::{Token, TokenKind};

use super::AppState;
use super::extract::Peer;
use super::layers::Asker;
use super::problem::{ApiError, ApiResult};
use crate::auth::{self, Access, Denied, Principal};

/// Lets a request through to its handler with its [`Principal`], or answers 401 or 403.
pub async fn authorize(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    // A path nobody serves tells nothing: it ends in the router's own 404.
    let Some(path) = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()) else {
        return next.run(request).await;
    };
    let access = auth::access(request.method(), &path);
    let Peer(peer) = Peer::of(request.extensions());
    let presented = bearer(request.headers()).filter(|_| access != Access::Open).map(Token::parse);
    let principal = match principal(&state, presented, peer).await {
        Ok(principal) => principal,
        Err(refusal) => return refusal.into_response(),
    };
    let asker = principal.as_ref().map(Asker::from);
    let mut response = match auth::decide(principal.as_ref(), access) {
        Ok(()) => {
            if let Some(principal) = principal {
                request.extensions_mut().insert(principal);
            }
            next.run(request).await
        }
        Err(denied) => refused(&denied).into_response(),
    };
    asker.map(|asker| response.extensions_mut().insert(asker));
    response
}

/// Whose token this is. `presented` is none where the request carries no token, or its route takes any; and holds none
/// where it cannot be one of ours.
async fn principal(
    state: &AppState,
    presented: Option<Option<(TokenKind, Token)>>,
    peer: Option<IpAddr>,
) -> ApiResult<Option<Principal>> {
    let Some(presented) = presented else { return Ok(None) };
    let (kind, token) = presented.ok_or_else(invalid)?;
    let hash = token.hash();
    if !state.throttle.admits(peer, &hash, Instant::now()) {
        return Err(braked());
    }
    match auth::recognise(&state.store, kind, &token).await? {
        Some(principal) => {
            state.throttle.succeeded(&hash);
            Ok(Some(principal))
        }
        None => {
            state.throttle.failed(peer, Instant::now());
            Err(invalid())
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

pub fn braked() -> ApiError {
    let detail = "too many requests with tokens that are not valid came from this address";
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", detail)
        .suggest("wait a few seconds, then use a valid token")
}

pub fn invalid() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "token_invalid", "the token is not valid: it is misspelt, expired or revoked")
        .suggest("log in again: dinp login")
}

fn refused(denied: &Denied) -> ApiError {
    match denied {
        Denied::Unknown => ApiError::new(StatusCode::UNAUTHORIZED, "token_missing", "this needs a token")
            .suggest("send Authorization: Bearer dinp_pat_... (dinp login makes one)"),
        Denied::NotYours { needs } => {
            ApiError::new(StatusCode::FORBIDDEN, "not_allowed", format!("this token is for something else; {needs} is needed"))
        }
    }
}
