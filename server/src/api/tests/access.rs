use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use dinp_common::api::{LinkCreated, SessionCreated};
use dinp_common::token::{Token, TokenKind};
use serde_json::{Value, json};

use super::{Answer, Server};
use crate::api::document;

/// Paths anybody may call without a token.
const OPEN: [(&str, &str); 2] = [("get", "/version"), ("post", "/v1/sessions")];

/// Every documented operation, with its path filled in.
fn operations() -> Vec<(Method, String, String)> {
    let document: Value = serde_json::to_value(document()).expect("json");
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in ["get", "put", "post", "delete", "head", "patch"] {
            if item.get(method).is_some() {
                let filled = path.replace("{app}", "hello").replace("{number}", "1").replace("{id}", "1");
                let filled = filled.replace("{digest}", &format!("sha256:{}", "a".repeat(64)));
                all.push((Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"), path.clone(), filled));
            }
        }
    }
    assert!(all.len() > 30, "{}", all.len());
    all
}

#[tokio::test]
async fn without_a_token_nothing_but_the_open_routes_answers() {
    let server = Server::new().await;
    let agent = (Method::GET, "/v1/agent".to_owned(), "/v1/agent".to_owned());
    for (method, pattern, path) in operations().into_iter().chain([agent]) {
        let request = Request::builder().method(&method).uri(&path).body(Body::empty()).expect("a request");
        let status = server.send(request).await.status();
        let open = OPEN.contains(&(method.as_str().to_lowercase().as_str(), pattern.as_str()));
        assert_eq!(status == StatusCode::UNAUTHORIZED, !open, "{method} {pattern}: {status}");
    }
}

#[tokio::test]
async fn a_builders_or_agents_token_opens_no_door_of_people() {
    let server = Server::new().await;
    server.with_live_app().await;
    for kind in [TokenKind::Builder, TokenKind::Agent, TokenKind::Link] {
        for (method, pattern, path) in operations() {
            let theirs = kind == TokenKind::Builder && pattern.starts_with("/v1/builder/");
            let open = OPEN.iter().any(|(_, open)| *open == pattern);
            if theirs || open {
                continue;
            }
            let answer = server.as_kind(kind, method.clone(), &path, json!({})).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{kind:?} {method} {pattern}: {}", answer.text);
        }
    }
    assert_eq!(server.get("/v1/apps/hello").await.status, StatusCode::OK, "nothing was changed");
}

#[tokio::test]
async fn a_link_signs_in_once_and_a_session_ends() {
    let server = Server::new().await;
    let made = server.post("/v1/links", json!({})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let link: LinkCreated = serde_json::from_str(&made.text).expect("a link");
    let token = link.url.strip_prefix("http://127.0.0.1:8081/link/").expect("the dashboard's address").to_owned();

    let direct = server.as_token(&token, Method::GET, "/v1/whoami").await;
    direct.problem(403, "not_allowed");
    let first = server.anonymous("/v1/sessions", json!({"token": token})).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let session: SessionCreated = serde_json::from_str(&first.text).expect("a session");
    assert_eq!((session.user.as_str(), session.expires_in), ("admin", 30 * 24 * 60 * 60));
    server.anonymous("/v1/sessions", json!({"token": token})).await.problem(401, "token_invalid");

    assert_eq!(server.as_token(&session.token, Method::GET, "/v1/whoami").await.json()["user"], "admin");
    let ended = server.as_token(&session.token, Method::DELETE, "/v1/sessions/current").await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    server.as_token(&session.token, Method::GET, "/v1/whoami").await.problem(401, "token_invalid");
}

#[tokio::test]
async fn tokens_are_made_shown_once_and_revoked() {
    let server = Server::new().await;
    for days in [0, 366] {
        let refused = server.post("/v1/tokens", json!({"name": "ci", "expires_days": days})).await;
        assert_eq!(refused.problem(422, "invalid_request").errors[0].pointer, "/expires_days");
    }
    let made = server.post("/v1/tokens", json!({"name": "ci"})).await.json();
    let text = made["token"].as_str().expect("its text");
    assert_eq!(server.as_token(text, Method::GET, "/v1/whoami").await.json()["token"], "ci");
    let listed = server.get("/v1/tokens").await;
    assert!(listed.text.contains("\"ci\"") && !listed.text.contains(text), "{}", listed.text);
    let path = format!("/v1/tokens/{}", made["id"].as_str().expect("its id"));
    assert_eq!(server.call(Method::DELETE, &path, json!({})).await.status, StatusCode::NO_CONTENT);
    server.as_token(text, Method::GET, "/v1/whoami").await.problem(401, "token_invalid");
    server.call(Method::DELETE, &path, json!({})).await.problem(404, "token_not_found");
}

#[tokio::test]
async fn a_session_ends_with_the_token_it_goes_back_to() {
    let server = Server::new().await;
    let made = server.post("/v1/tokens", json!({"name": "ci"})).await.json();
    let text = made["token"].as_str().expect("its text");
    let direct = server.session(text).await;
    let linked = server.session(&server.link(text).await).await;
    let link_of_session = server.session(&server.link(&direct).await).await;
    let unused = server.link(text).await;
    let others = server.session(server.admin.expose()).await;
    let sessions = [&direct, &linked, &link_of_session];
    for session in sessions {
        assert_eq!(server.as_token(session, Method::GET, "/v1/whoami").await.status, StatusCode::OK);
    }
    assert_eq!(server.as_token(&direct, Method::DELETE, "/v1/sessions/current").await.status, StatusCode::NO_CONTENT);
    let still = server.as_token(&link_of_session, Method::GET, "/v1/whoami").await;
    assert_eq!(still.status, StatusCode::OK, "it goes back to the token, not to the session");

    let path = format!("/v1/tokens/{}", made["id"].as_str().expect("its id"));
    assert_eq!(server.call(Method::DELETE, &path, json!({})).await.status, StatusCode::NO_CONTENT);
    for session in sessions {
        server.as_token(session, Method::GET, "/v1/whoami").await.problem(401, "token_invalid");
    }
    server.anonymous("/v1/sessions", json!({"token": unused})).await.problem(401, "token_invalid");
    assert_eq!(server.as_token(&others, Method::GET, "/v1/whoami").await.status, StatusCode::OK, "of another token");
}

#[tokio::test]
async fn guessing_is_braked_and_the_owner_is_not_locked_out() {
    let server = Server::new().await;
    assert_eq!(server.get("/v1/whoami").await.status, StatusCode::OK);
    let guess = |n: u8| Token::from_random(TokenKind::Personal, [n; 32]);
    for n in 0..20 {
        server.as_token(guess(n).expose(), Method::GET, "/v1/whoami").await.problem(401, "token_invalid");
    }
    let braked = server.as_token(guess(99).expose(), Method::GET, "/v1/whoami").await;
    braked.problem(429, "too_many_failures");
    assert!(braked.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(server.get("/v1/whoami").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_expired_token_is_nobodys() {
    let server = Server::new().await;
    let token = crate::auth::token_create(&server.state.store, TokenKind::Personal, "old", 0).await.expect("a token");
    server.as_token(token.expose(), Method::GET, "/v1/whoami").await.problem(401, "token_invalid");
}

impl Server {
    /// The text of a session made from a token or a link.
    async fn session(&self, token: &str) -> String {
        let made = self.anonymous("/v1/sessions", json!({"token": token})).await;
        serde_json::from_str::<SessionCreated>(&made.text).expect("a session").token
    }

    /// The text of a link made by this token's holder.
    async fn link(&self, token: &str) -> String {
        let made = self.as_token(token, Method::POST, "/v1/links").await;
        let link: LinkCreated = serde_json::from_str(&made.text).expect("a link");
        link.url.rsplit('/').next().expect("its text").to_owned()
    }

    async fn as_token(&self, token: &str, method: Method, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        Answer::of(self.send(request.body(Body::empty()).expect("a request")).await).await
    }

    async fn anonymous(&self, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(Method::POST).uri(path).header(header::CONTENT_TYPE, "application/json");
        Answer::of(self.send(request.body(Body::from(body.to_string())).expect("a request")).await).await
    }
}
