//! Credentials, by hash. Whether one has expired is for the caller to say, who has a clock.

use dinp_common::token::TokenKind;
use sqlx::any::AnyRow;

use crate::clock;
use crate::dialect::Durability;
use crate::error::StoreError;
use crate::open::Store;
use crate::row::Columns as _;
use crate::session::{Session, sql};

/// A credential to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// SHA-256 of its text, in hexadecimal.
    pub hash: String,
    pub id: String,
    pub kind: TokenKind,
    /// What people call it.
    pub name: String,
    pub user: String,
    /// RFC 3339.
    pub expires_at: String,
}

/// A credential as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    pub id: String,
    pub kind: TokenKind,
    pub name: String,
    pub user: String,
    pub created_at: String,
    pub expires_at: String,
    /// The credential it was made from, where it is to end with that one.
    pub origin: Option<Origin>,
}

/// What another credential was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub id: String,
    /// RFC 3339; `None` once it is gone.
    pub expires_at: Option<String>,
}

/// Credentials with their origins.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT tokens.*, token_origins.origin, origins.expires_at AS origin_expires_at FROM tokens ",
            "LEFT JOIN token_origins ON token_origins.token = tokens.id ",
            "LEFT JOIN tokens AS origins ON origins.id = token_origins.origin ",
            $rest
        )
    };
}

impl Store {
    /// Keeps a credential. One with the same hash or id is a conflict.
    pub async fn token_insert(&self, token: &NewToken) -> Result<(), StoreError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = insert(&mut session, token).await;
        session.end(result).await
    }

    /// Keeps a credential that ends with the one it was made from.
    pub async fn token_insert_from(&self, token: &NewToken, origin: &str) -> Result<(), StoreError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = insert_from(&mut session, token, origin).await;
        session.end(result).await
    }

    pub async fn token_find(&self, hash: &str) -> Result<Option<TokenRow>, StoreError> {
        let mut session = self.single().await?;
        let result = session.token(hash).await;
        session.end(result).await
    }

    /// All credentials, oldest first.
    pub async fn token_list(&self) -> Result<Vec<TokenRow>, StoreError> {
        let mut session = self.single().await?;
        let result = session.rows(sql(select!("ORDER BY tokens.created_at, tokens.id"))).await;
        session.end(result).await?.iter().map(token_from).collect()
    }

    /// Ends a credential, and those that were made from it. `false` if there is none with this id.
    pub async fn token_delete(&self, id: &str) -> Result<bool, StoreError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = delete(&mut session, id).await;
        session.end(result).await
    }

    /// Uses up a one-time link: of any number of callers with the same hash, one gets the row.
    pub async fn link_use(&self, hash: &str) -> Result<Option<TokenRow>, StoreError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = take_link(&mut session, hash).await;
        session.end(result).await
    }
}

impl Session {
    async fn token(&mut self, hash: &str) -> Result<Option<TokenRow>, StoreError> {
        let row = self.row(sql(select!("WHERE tokens.hash = ?")).bind(hash)).await?;
        row.as_ref().map(token_from).transpose()
    }
}

async fn insert(session: &mut Session, token: &NewToken) -> Result<(), StoreError> {
    let taken = sql("SELECT id FROM tokens WHERE hash = ? OR id = ?").bind(&token.hash).bind(&token.id);
    if session.row(taken).await?.is_some() {
        return Err(StoreError::Conflict { why: format!("there is a token {} already", token.id) });
    }
    let query = sql("INSERT INTO tokens (hash, id, kind, name, user_name, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)")
        .bind(&token.hash)
        .bind(&token.id)
        .bind(kind_text(token.kind))
        .bind(&token.name)
        .bind(&token.user)
        .bind(clock::now())
        .bind(&token.expires_at);
    session.execute(query).await.map(|_| ())
}

async fn insert_from(session: &mut Session, token: &NewToken, origin: &str) -> Result<(), StoreError> {
    insert(session, token).await?;
    let query = sql("INSERT INTO token_origins (token, origin) VALUES (?, ?)").bind(&token.id).bind(origin);
    session.execute(query).await.map(|_| ())
}

async fn delete(session: &mut Session, id: &str) -> Result<bool, StoreError> {
    let made_from_it = sql("DELETE FROM tokens WHERE id IN (SELECT token FROM token_origins WHERE origin = ?)").bind(id);
    session.execute(made_from_it).await?;
    session.execute(sql("DELETE FROM token_origins WHERE origin = ? OR token = ?").bind(id).bind(id)).await?;
    Ok(session.execute(sql("DELETE FROM tokens WHERE id = ?").bind(id)).await? == 1)
}

async fn take_link(session: &mut Session, hash: &str) -> Result<Option<TokenRow>, StoreError> {
    let Some(row) = session.token(hash).await? else { return Ok(None) };
    if row.kind != TokenKind::Link {
        return Ok(None);
    }
    Ok(delete(session, &row.id).await?.then_some(row))
}

fn kind_text(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Personal => "personal",
        TokenKind::Session => "session",
        TokenKind::Link => "link",
        TokenKind::Agent => "agent",
        TokenKind::Builder => "builder",
    }
}

fn token_from(row: &AnyRow) -> Result<TokenRow, StoreError> {
    let text = row.text("kind")?;
    let kind = TokenKind::ALL.into_iter().find(|kind| kind_text(*kind) == text);
    Ok(TokenRow {
        id: row.text("id")?,
        kind: kind.ok_or_else(|| StoreError::unreadable("kind", "it has no known form"))?,
        name: row.text("name")?,
        user: row.text("user_name")?,
        created_at: row.text("created_at")?,
        expires_at: row.text("expires_at")?,
        origin: match row.text_opt("origin")? {
            Some(id) => Some(Origin { id, expires_at: row.text_opt("origin_expires_at")? }),
            None => None,
        },
    })
}
