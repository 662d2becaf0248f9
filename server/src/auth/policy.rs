//! The one place that says who may do what.

use axum::http::Method;
use dinp_common::token::TokenKind;
use dinp_common::wire::AGENT_PATH;

use super::Principal;

/// Whom a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody: it tells nothing of the apps, or carries its credential in the body.
    Open,
    Agent,
    Builder,
    Admin,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// No token, or none that is ours and valid.
    Unknown,
    /// A valid token that is for something else.
    NotYours { needs: &'static str },
}

/// Whom `method path` is for; `path` is the route's pattern. What is not listed is for admins.
pub fn access(method: &Method, path: &str) -> Access {
    match (method.as_str(), path) {
        ("GET" | "HEAD", "/version" | "/v1/openapi.json") | ("POST", "/v1/sessions") => Access::Open,
        ("GET", AGENT_PATH) => Access::Agent,
        (_, path) if path.starts_with("/v1/builder/") => Access::Builder,
        _ => Access::Admin,
    }
}

/// Whether `principal` may use a route of this access.
pub fn decide(principal: Option<&Principal>, access: Access) -> Result<(), Denied> {
    let needs = match access {
        Access::Open => return Ok(()),
        Access::Agent => "an agent's token",
        Access::Builder => "a builder's token",
        Access::Admin => "a person's access token or session",
    };
    let Some(principal) = principal else { return Err(Denied::Unknown) };
    let allowed = match principal.kind {
        TokenKind::Personal | TokenKind::Session => access == Access::Admin,
        TokenKind::Agent => access == Access::Agent,
        TokenKind::Builder => access == Access::Builder,
        // A link is only ever exchanged for a session, in the body of POST /v1/sessions.
        TokenKind::Link => false,
    };
    if allowed { Ok(()) } else { Err(Denied::NotYours { needs }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(kind: TokenKind) -> Principal {
        Principal { kind, token: "t1".into(), origin: None, name: "n".into(), user: "admin".into() }
    }

    #[test]
    fn each_kind_of_token_opens_its_own_routes_only() {
        let all = [Access::Open, Access::Agent, Access::Builder, Access::Admin];
        let opens = |kind| all.map(|access| decide(Some(&holder(kind)), access).is_ok());
        assert_eq!(opens(TokenKind::Personal), [true, false, false, true]);
        assert_eq!(opens(TokenKind::Session), [true, false, false, true]);
        assert_eq!(opens(TokenKind::Agent), [true, true, false, false]);
        assert_eq!(opens(TokenKind::Builder), [true, false, true, false]);
        assert_eq!(opens(TokenKind::Link), [true, false, false, false]);
        assert_eq!(all.map(|access| decide(None, access).is_ok()), [true, false, false, false]);
    }

    #[test]
    fn a_route_nobody_listed_is_for_admins() {
        assert_eq!(access(&Method::GET, "/v1/something-new"), Access::Admin);
        assert_eq!(access(&Method::DELETE, "/version"), Access::Admin);
        assert_eq!(access(&Method::POST, "/v1/builder/claim"), Access::Builder);
    }
}
