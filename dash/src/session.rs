//! The cookie, and the API client of whoever sent it.

use axum::extract::FromRequestParts;
use dinp_client::Client;
use dinp_common::token::{Token, TokenKind};
use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use crate::config::DashConfig;
use crate::refusal::Refusal;
use crate::site::Site;

const NAME: &str = "dinp_session";
/// Browsers accept this prefix only from https, without a domain: no sibling host can then plant the cookie.
const NAME_ON_HTTPS: &str = "__Host-dinp_session";

/// A person with a session cookie. Whether the session still lives is the API's to say, at each call.
pub(crate) struct Signed {
    pub client: Client,
}

impl FromRequestParts<Site> for Signed {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Refusal> {
        let token = token(site.config(), &parts.headers).ok_or(Refusal::SignIn)?;
        Ok(Self { client: site.client().with_token(token) })
    }
}

fn name(config: &DashConfig) -> &'static str {
    if config.https { NAME_ON_HTTPS } else { NAME }
}

/// The session token in the cookies; none where there is none, or where it cannot be one.
pub(crate) fn token(config: &DashConfig, headers: &HeaderMap) -> Option<Token> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let text = pairs.find(|(key, _)| *key == name(config))?.1;
    Token::parse(text).filter(|(kind, _)| *kind == TokenKind::Session).map(|(_, token)| token)
}

/// The cookie that carries `token` for `seconds`; zero ends it.
pub(crate) fn cookie(config: &DashConfig, token: &str, seconds: u64) -> HeaderValue {
    let secure = if config.https { "; Secure" } else { "" };
    let text = format!("{}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}", name(config));
    let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_closed_to_scripts_and_other_sites() {
        let plain = DashConfig::default();
        let token_text = Token::from_random(TokenKind::Session, [3; 32]).expose().to_owned();
        let text = cookie(&plain, &token_text, 60).to_str().expect("text").to_owned();
        assert_eq!(text, format!("dinp_session={token_text}; HttpOnly; SameSite=Strict; Path=/; Max-Age=60"));
        let https = DashConfig { https: true, ..plain };
        let text = cookie(&https, &token_text, 60).to_str().expect("text").to_owned();
        assert!(text.starts_with("__Host-dinp_session=") && text.ends_with("; Secure"), "{text}");
    }

    #[test]
    fn only_a_session_token_is_a_session() {
        let config = DashConfig::default();
        let read = |text: String| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, text.parse().expect("a header value"));
            token(&config, &headers).is_some()
        };
        let session = Token::from_random(TokenKind::Session, [1; 32]);
        let personal = Token::from_random(TokenKind::Personal, [1; 32]);
        assert!(read(format!("a=b; dinp_session={}", session.expose())));
        assert!(!read(format!("dinp_session={}", personal.expose())));
        assert!(!read("dinp_session=dinp_ses_x".to_owned()));
        assert!(!read(format!("other={}", session.expose())));
    }
}
