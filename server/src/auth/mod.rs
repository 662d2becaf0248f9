//! Who asks, and what they may: one policy function for every route, deny by default.

mod policy;
mod throttle;
mod tokens;

pub use policy::{Access, Denied, access, decide};
pub use throttle::Throttle;
pub use tokens::{
    LINK_MINUTES, Made, SESSION_DAYS, TOKEN_DAYS, TOKEN_DAYS_MOST, forget_expired, link_create, link_use, personal_create,
    recognise, session_create, token_create,
};

use std::fmt;

use dinp_common::token::TokenKind;

/// The one person there is until users arrive.
pub const ADMIN: &str = "admin";

/// A caller whose token the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub kind: TokenKind,
    /// The token's id: what sessions end by and idempotency keys belong to.
    pub token: String,
    /// The token that what this caller makes for a browser ends with: its own, or the one its session was made from.
    pub origin: Option<String>,
    /// The token's name; for an agent, its node.
    pub name: String,
    pub user: String,
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TokenKind::Personal | TokenKind::Session | TokenKind::Link => write!(f, "{}", self.user),
            TokenKind::Agent => write!(f, "agent {}", self.name),
            TokenKind::Builder => write!(f, "builder {}", self.name),
        }
    }
}
