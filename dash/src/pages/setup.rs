//! The one-time link: it signs in whoever looks at its page, once.
//!
//! The page itself uses nothing up. A mail scanner or a browser's prefetch may read it; only its form, which a script
//! submits for a person, exchanges the link.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use dinp_client::{Client, ClientError};
use dinp_common::name::AppName;
use dinp_common::token::Token;
use http::HeaderMap;
use http::header::SET_COOKIE;
use maud::{Markup, html};
use serde::Deserialize;

use crate::refusal::Refusal;
use crate::session;
use crate::site::Site;
use crate::view::shell::{Page, page};
use crate::view::status::Tone;
use crate::view::{parts, path};

/// The sample that the first run deploys.
const SAMPLE: &str = "hello";

#[derive(Deserialize)]
pub(crate) struct Link {
    token: String,
}

pub(crate) async fn show(Query(link): Query<Link>) -> Markup {
    form(&link.token)
}

pub(crate) async fn show_link(Path(link): Path<Link>) -> Markup {
    form(&link.token)
}

fn form(token: &str) -> Markup {
    page(&Page {
        title: "Open the dashboard – dinp",
        tone: Tone::Ok,
        stream: None,
        signed: false,
        main: html! {
            div.narrow {
                section.panel {
                    form.body.stack method="post" action="/setup" data-autosubmit {
                        h1 { "Welcome to DINP" }
                        p { "This link signs you in on this browser. It works once." }
                        input type="hidden" name="token" value=(token);
                        button.primary type="submit" { "Open the dashboard" }
                    }
                }
            }
        },
    })
}

pub(crate) async fn enter(State(site): State<Site>, headers: HeaderMap, Form(link): Form<Link>) -> Result<Response, Refusal> {
    match site.client().session_create(link.token.trim()).await {
        Ok(created) => {
            let cookie = session::cookie(site.config(), &created.token, created.expires_in);
            let client = Token::parse(&created.token).map(|(_, token)| site.client().with_token(token));
            let target = match client {
                Some(client) => landing(&client).await,
                None => "/apps".to_owned(),
            };
            Ok(([(SET_COOKIE, cookie)], Redirect::to(&target)).into_response())
        }
        Err(ClientError::Problem(problem)) if problem.status < 500 => Ok(used(&site, &headers, &problem.detail).await),
        Err(error) => Err(error.into()),
    }
}

/// The running sample with a drop zone beside it, or the apps where it has been deleted.
async fn landing(client: &Client) -> String {
    let Ok(sample) = AppName::parse(SAMPLE) else { return "/apps".to_owned() };
    match client.app(&sample).await {
        Ok(_) => format!("{}?welcome=1", path::app(&sample)),
        Err(_) => "/apps".to_owned(),
    }
}

/// A link that works no more. Whoever used it in this browser is signed in still, and goes on.
async fn used(site: &Site, headers: &HeaderMap, why: &str) -> Response {
    if let Some(token) = session::token(site.config(), headers)
        && site.client().with_token(token).whoami().await.is_ok()
    {
        return Redirect::to("/apps").into_response();
    }
    let page = page(&Page {
        title: "✗ This link has ended – dinp",
        tone: Tone::Bad,
        stream: None,
        signed: false,
        main: html! {
            div.page-narrow.stack {
                h1 { "This link works no more" }
                div.callout.bad { p { (parts::sentence(why)) } p { "A link signs in once, and ends after a while." } }
                p { "Get a new one on the machine DINP runs on: " (parts::command("dinp open --dashboard")) }
                p { "Or " a href="/login" { "sign in with an access token" } "." }
            }
        },
    });
    (http::StatusCode::UNAUTHORIZED, page).into_response()
}
