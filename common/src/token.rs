//! The form of credentials: a prefix that leak scanners know, 32 random bytes, a checksum.

use sha2::{Digest as _, Sha256};
use std::fmt;

/// A credential in clear. It is shown once, and only its hash is stored.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Token(String);

/// What a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A person's or a CI's access token.
    Personal,
    /// A browser's session.
    Session,
    /// A one-time link into the dashboard.
    Link,
    /// An agent's.
    Agent,
    /// A builder's.
    Builder,
}

impl TokenKind {
    pub const ALL: [TokenKind; 5] = [Self::Personal, Self::Session, Self::Link, Self::Agent, Self::Builder];

    pub fn prefix(self) -> &'static str {
        match self {
            Self::Personal => "dinp_pat_",
            Self::Session => "dinp_ses_",
            Self::Link => "dinp_lnk_",
            Self::Agent => "dinp_agt_",
            Self::Builder => "dinp_bld_",
        }
    }
}

impl Token {
    /// Makes a token from random bytes.
    pub fn from_random(kind: TokenKind, bytes: [u8; 32]) -> Self {
        let body = hex::encode(bytes);
        let check = checksum(kind.prefix(), &body);
        Self(format!("{}{body}{check}", kind.prefix()))
    }

    /// Reads a token somebody presents; `None` if it cannot be one of ours.
    pub fn parse(text: &str) -> Option<(TokenKind, Self)> {
        let kind = TokenKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))?;
        let rest = &text[kind.prefix().len()..];
        if rest.len() != 72 || !rest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        (checksum(kind.prefix(), &rest[..64]) == rest[64..]).then(|| (kind, Self(text.to_owned())))
    }

    /// The clear text, for the one place that hands it over.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the store keeps: SHA-256 in hexadecimal.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(<hidden>)")
    }
}

fn checksum(prefix: &str, body: &str) -> String {
    hex::encode(&Sha256::new().chain_update(prefix).chain_update(body).finalize()[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_a_damaged_one_does_not() {
        let token = Token::from_random(TokenKind::Personal, [7; 32]);
        let (kind, read) = Token::parse(token.expose()).expect("reads back");
        assert_eq!((kind, read.hash()), (TokenKind::Personal, token.hash()));
        assert!(Token::parse(&token.expose().replacen('7', "8", 1)).is_none());
        assert!(Token::parse("dinp_pat_").is_none());
        assert!(!format!("{token:?}").contains("07"));
    }
}
