//! What cannot be done, as a page, as a notice within a page, or as problem+json, after what asked for it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use dinp_client::ClientError;
use dinp_common::problem::{PROBLEM_JSON, Problem};
use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, StatusCode, Uri};

use crate::session;
use crate::site::Site;
use crate::view::problem;

/// Why a request gets no answer of its own.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Nobody is signed in, or the session ended.
    SignIn,
    Problem(Box<Problem>),
    /// No such app, with names like it.
    NoSuchApp {
        name: String,
        near: Vec<String>,
    },
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) if problem.status == 401 => Self::SignIn,
            ClientError::Problem(problem) => Self::Problem(problem),
            error @ (ClientError::Unreachable { .. } | ClientError::Interrupted { .. }) => {
                Problem::new(503, "server_unreachable", format!("The DINP server does not answer: {error}."))
                    .now("Apps that run keep running, and their traffic is not affected.")
                    .suggest("Try again in a moment. On the server's machine, `dinp up` or its service log says more.")
                    .into()
            }
            error => Problem::new(502, "unexpected_answer", error.to_string()).into(),
        }
    }
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        let code = match self {
            Self::SignIn => 401,
            Self::Problem(problem) => problem.status,
            Self::NoSuchApp { .. } => 404,
        };
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn into_problem(self) -> Problem {
        match self {
            Self::SignIn => Problem::new(401, "not_signed_in", "The session has ended.").suggest("Sign in again."),
            Self::Problem(problem) => *problem,
            Self::NoSuchApp { name, near } => {
                let problem = Problem::new(404, "app_not_found", format!("There is no app named {name}."));
                if near.is_empty() { problem } else { problem.suggest(format!("Did you mean {}?", near.join(", "))) }
            }
        }
    }
}

/// The bare status: [`render`] gives it a body, since only it knows who asked.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// How the browser wants to read a refusal.
enum Reader {
    Page,
    /// htmx: a notice is put into the page that stands.
    Fragment,
    /// Our own scripts.
    Script,
}

impl Reader {
    fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        if uri.path().starts_with("/ui/") {
            Self::Script
        } else if headers.contains_key("hx-request") {
            Self::Fragment
        } else {
            Self::Page
        }
    }
}

/// Gives every refusal its body.
pub(crate) async fn render(State(site): State<Site>, request: Request, next: Next) -> Response {
    let reader = Reader::of(request.uri(), request.headers());
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut response = next.run(request).await;
    let refusal = response.extensions_mut().remove::<Arc<Refusal>>();
    match refusal.and_then(Arc::into_inner) {
        Some(refusal) => answer(&site, refusal, &reader, &path),
        None => response,
    }
}

fn answer(site: &Site, refusal: Refusal, reader: &Reader, path: &str) -> Response {
    let status = refusal.status();
    match (reader, refusal) {
        (Reader::Page, Refusal::SignIn) => {
            let ended = session::cookie(site.config(), "", 0);
            ([(SET_COOKIE, ended)], Redirect::to(&sign_in_path(path))).into_response()
        }
        (Reader::Fragment, Refusal::SignIn) => (StatusCode::UNAUTHORIZED, [("hx-refresh", "true")]).into_response(),
        (Reader::Script, refusal) => {
            let body = serde_json::to_vec(&refusal.into_problem()).unwrap_or_default();
            (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
        }
        (Reader::Fragment, refusal) => (status, problem::notice(&refusal.into_problem())).into_response(),
        (Reader::Page, Refusal::NoSuchApp { name, near }) => (status, problem::no_such_app(&name, &near)).into_response(),
        (Reader::Page, refusal) => (status, problem::page(&refusal.into_problem())).into_response(),
    }
}

/// Where to sign in, to come back to `path` after.
fn sign_in_path(path: &str) -> String {
    match path {
        "/" | "/apps" => "/login".to_owned(),
        path => format!("/login?next={}", percent(path)),
    }
}

/// Percent-encodes all that could end or split a query's value.
pub(crate) fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}
