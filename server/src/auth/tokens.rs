//! Making and recognising tokens.

use std::time::Duration;

use dinp_common::token::{Token, TokenKind};
use dinp_store::{NewToken, Store, StoreError, TokenRow};
use jiff::Timestamp;

use super::{ADMIN, Principal};
use crate::api::clock;

/// Days a browser's session lasts.
pub const SESSION_DAYS: u32 = 30;
/// Minutes a one-time link can be used.
pub const LINK_MINUTES: u32 = 15;
/// Days a person's token lasts where nobody says.
pub const TOKEN_DAYS: u32 = 90;
/// Days nobody's token may outlast.
pub const TOKEN_DAYS_MOST: u32 = 365;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// A token just made: its text, shown once, and what is stored beside its hash.
#[derive(Debug)]
pub struct Made {
    pub token: Token,
    pub id: String,
    pub expires_at: String,
    pub lasts: Duration,
}

/// Makes a token for the admin. Links last minutes, all others `days`.
///
/// # Errors
/// If the store does not take it.
pub async fn token_create(store: &Store, kind: TokenKind, name: &str, days: u32) -> Result<Token, StoreError> {
    Ok(make(store, kind, name, DAY * days, None).await?.token)
}

/// A session that ends with the token its owner showed, or made the link with.
pub async fn session_create(store: &Store, name: &str, owner: &Principal) -> Result<Made, StoreError> {
    make(store, TokenKind::Session, name, DAY * SESSION_DAYS, owner.origin.as_deref()).await
}

pub async fn link_create(store: &Store, by: &Principal) -> Result<Made, StoreError> {
    make(store, TokenKind::Link, "one-time link", MINUTE * LINK_MINUTES, by.origin.as_deref()).await
}

pub async fn personal_create(store: &Store, name: &str, days: u32) -> Result<Made, StoreError> {
    make(store, TokenKind::Personal, name, DAY * days, None).await
}

async fn make(store: &Store, kind: TokenKind, name: &str, lasts: Duration, origin: Option<&str>) -> Result<Made, StoreError> {
    let token = Token::from_random(kind, rand::random());
    let id = hex::encode(rand::random::<[u8; 6]>());
    let expires_at = clock::after(lasts);
    let (name, user) = (name.to_owned(), ADMIN.to_owned());
    let new = NewToken { hash: token.hash(), id: id.clone(), kind, name, user, expires_at: expires_at.clone() };
    match origin {
        Some(origin) => store.token_insert_from(&new, origin).await?,
        None => store.token_insert(&new).await?,
    }
    Ok(Made { token, id, expires_at, lasts })
}

/// Whose token this is. The store is asked by the token's hash, so no comparison of secrets takes time that tells.
pub async fn recognise(store: &Store, kind: TokenKind, token: &Token) -> Result<Option<Principal>, StoreError> {
    let row = store.token_find(&token.hash()).await?;
    Ok(row.filter(|row| row.kind == kind && valid(row)).map(principal))
}

/// Uses up a one-time link.
pub async fn link_use(store: &Store, token: &Token) -> Result<Option<Principal>, StoreError> {
    Ok(store.link_use(&token.hash()).await?.filter(valid).map(principal))
}

/// A token is valid until its time, and not without the one it was made from.
fn valid(row: &TokenRow) -> bool {
    let in_time = |expires_at: &str| expires_at.parse::<Timestamp>().is_ok_and(|at| at > Timestamp::now());
    let origin = row.origin.as_ref().is_none_or(|origin| origin.expires_at.as_deref().is_some_and(in_time));
    in_time(&row.expires_at) && origin
}

fn principal(row: TokenRow) -> Principal {
    // A link is gone once it is used: what it makes ends with what the link was made with.
    let own = (row.kind != TokenKind::Link).then(|| row.id.clone());
    let origin = row.origin.map(|origin| origin.id).or(own);
    Principal { kind: row.kind, token: row.id, origin, name: row.name, user: row.user }
}

/// Sessions and links that have ended need no row any more.
///
/// # Errors
/// If the store cannot be read or written.
pub async fn forget_expired(store: &Store) -> Result<(), StoreError> {
    for row in store.token_list().await?.iter().filter(|row| !valid(row)) {
        store.token_delete(&row.id).await?;
    }
    Ok(())
}
