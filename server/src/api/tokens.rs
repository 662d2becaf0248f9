//! Access tokens of people and of CI.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dinp_common::api::{CreatedToken, NewToken, Page, TokenView};
use dinp_common::problem::Problem;
use dinp_common::token::TokenKind;

use super::AppState;
use super::extract::{Body, Named};
use super::page::whole;
use super::problem::{ApiError, ApiResult};
use crate::auth::{self, TOKEN_DAYS, TOKEN_DAYS_MOST};

/// Characters of a token's name.
const NAME_LENGTH: usize = 100;

/// All tokens, oldest first; never their texts.
#[utoipa::path(get, path = "/v1/tokens", tag = "access", operation_id = "token_list",
    responses((status = 200, body = Page<TokenView>), (status = "default", body = Problem)))]
pub async fn token_list(State(state): State<AppState>) -> ApiResult<Json<Page<TokenView>>> {
    let rows = state.store.token_list().await?;
    let view = |row: dinp_store::TokenRow| TokenView {
        id: row.id,
        name: row.name,
        kind: kind(row.kind).to_owned(),
        created_at: row.created_at,
        expires_at: row.expires_at,
    };
    Ok(Json(whole(rows.into_iter().map(view).collect())))
}

/// Makes an access token. Its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/tokens", tag = "access", operation_id = "token_create", request_body = NewToken,
    responses((status = 201, body = CreatedToken), (status = "default", body = Problem)))]
pub async fn token_create(
    State(state): State<AppState>,
    Body(new): Body<NewToken>,
) -> ApiResult<(StatusCode, Json<CreatedToken>)> {
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > NAME_LENGTH || name.chars().any(char::is_control) {
        let detail = format!("a token's name has 1 to {NAME_LENGTH} characters on one line");
        return Err(ApiError::unprocessable("invalid_request", detail.clone()).field("/name", detail));
    }
    let days = new.expires_days.unwrap_or(TOKEN_DAYS);
    if !(1..=TOKEN_DAYS_MOST).contains(&days) {
        let detail = format!("expires_days is {days}; 1 to {TOKEN_DAYS_MOST} are possible");
        return Err(ApiError::unprocessable("invalid_request", detail.clone()).field("/expires_days", detail));
    }
    let made = auth::personal_create(&state.store, name, days).await?;
    let token = made.token.expose().to_owned();
    let created = CreatedToken { id: made.id, name: name.to_owned(), token, expires_at: made.expires_at };
    Ok((StatusCode::CREATED, Json(created)))
}

/// Revokes a token at once.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "access", operation_id = "token_delete",
    params(("id" = String, Path, description = "the token's id, as it is listed")),
    responses((status = 204), (status = "default", body = Problem)))]
pub async fn token_delete(State(state): State<AppState>, Named(id): Named<String>) -> ApiResult<StatusCode> {
    match state.store.token_delete(&id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => {
            Err(ApiError::not_found("token_not_found", format!("there is no token {id}")).suggest("GET /v1/tokens lists them"))
        }
    }
}

fn kind(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Personal => "personal",
        TokenKind::Session => "session",
        TokenKind::Link => "link",
        TokenKind::Agent => "agent",
        TokenKind::Builder => "builder",
    }
}
