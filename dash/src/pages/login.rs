//! Signing in with an access token, and signing out.

use axum::Form;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use dinp_client::ClientError;
use http::StatusCode;
use http::header::SET_COOKIE;
use maud::{Markup, html};
use serde::Deserialize;

use crate::refusal::Refusal;
use crate::session::{self, Signed};
use crate::site::Site;
use crate::view::parts;
use crate::view::shell::{Page, page};
use crate::view::status::Tone;

#[derive(Deserialize)]
pub(crate) struct Ask {
    next: Option<String>,
}

pub(crate) async fn show(State(site): State<Site>, Query(ask): Query<Ask>, headers: http::HeaderMap) -> Response {
    // Whoever is signed in already has no use for this page.
    if let Some(token) = session::token(site.config(), &headers)
        && site.client().with_token(token).whoami().await.is_ok()
    {
        return Redirect::to(own_path(ask.next.as_deref())).into_response();
    }
    form(ask.next.as_deref(), None).into_response()
}

#[derive(Deserialize)]
pub(crate) struct Entry {
    token: String,
    next: Option<String>,
}

pub(crate) async fn enter(State(site): State<Site>, Form(entry): Form<Entry>) -> Result<Response, Refusal> {
    let next = entry.next.as_deref();
    match site.client().session_create(entry.token.trim()).await {
        Ok(session) => {
            let cookie = session::cookie(site.config(), &session.token, session.expires_in);
            Ok(([(SET_COOKIE, cookie)], Redirect::to(own_path(next))).into_response())
        }
        Err(ClientError::Problem(problem)) if problem.status < 500 => {
            Ok((StatusCode::UNAUTHORIZED, form(next, Some(&problem.detail))).into_response())
        }
        Err(error) => Err(error.into()),
    }
}

/// A path of ours to go on to. What another site put there would lead away.
fn own_path(next: Option<&str>) -> &str {
    next.filter(|path| path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n', '\t']))
        .unwrap_or("/apps")
}

fn form(next: Option<&str>, error: Option<&str>) -> Markup {
    page(&Page {
        title: if error.is_some() { "✗ Sign in – dinp" } else { "Sign in – dinp" },
        tone: Tone::Ok,
        stream: None,
        signed: false,
        main: html! {
            div.narrow.stack {
                section.panel {
                    form.body.stack method="post" action="/login" {
                        h1 { "Sign in" }
                        @if let Some(error) = error { div.callout.bad role="alert" #login-error { p { (parts::sentence(error)) } } }
                        @if let Some(next) = next { input type="hidden" name="next" value=(next); }
                        div.field {
                            label for="token" { "Access token" }
                            input #token type="password" name="token" required autofocus autocomplete="current-password" spellcheck="false"
                                aria-invalid=[error.map(|_| "true")] aria-describedby=[error.map(|_| "login-error")];
                            p.hint { "It begins with " code { "dinp_pat_" } "." }
                        }
                        button.primary type="submit" { "Sign in" }
                    }
                }
                p.muted { "On the machine DINP runs on, this opens the dashboard signed in: " }
                p { (parts::command("dinp open --dashboard")) }
            }
        },
    })
}

pub(crate) async fn leave(State(site): State<Site>, signed: Signed) -> Response {
    // The cookie goes in any case; a session that has ended already cannot be ended again.
    if let Err(error) = signed.client.session_end().await {
        tracing::debug!(%error, "session not ended");
    }
    ([(SET_COOKIE, session::cookie(site.config(), "", 0))], Redirect::to("/login")).into_response()
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn signing_in_leads_nowhere_else() {
        assert_eq!(own_path(Some("/apps/shop?x=1")), "/apps/shop?x=1");
        for bad in ["https://evil.example", "//evil.example", "/\\evil.example", "apps", "/\t/evil.example"] {
            assert_eq!(own_path(Some(bad)), "/apps", "{bad}");
        }
    }
}
