//! Everything that happened to an app, with the reason of each.

use axum::extract::{Path, Query};
use dinp_client::{Client, EventQuery};
use dinp_common::name::AppName;
use maud::{Markup, html};
use serde::Deserialize;

use super::app;
use crate::live::Seen;
use crate::refusal::Refusal;
use crate::session::Signed;
use crate::view::{events, path};

const PAGE: u32 = 50;

#[derive(Deserialize)]
pub(crate) struct Ask {
    before: Option<u64>,
}

pub(crate) async fn show(signed: Signed, Path(name): Path<AppName>, Query(ask): Query<Ask>) -> Result<Markup, Refusal> {
    let detail = app::read(&signed.client, &name).await?;
    let seen = look(&signed.client, &name, ask.before).await?;
    let body = html! {
        section.panel aria-labelledby="events-title" {
            header {
                h2 #events-title { "Events" }
                @if ask.before.is_some() { span.end { a href=(path::tab(&name, "events")) { "Newest" } } }
            }
            (seen.part("events"))
        }
    };
    // Older pages do not change, so only their head is live.
    let page = if ask.before.is_some() { "history" } else { "events" };
    Ok(app::page(&detail, &seen, "events", &format!("/ui/stream?page={page}&app={name}"), &body))
}

pub(crate) async fn look(client: &Client, name: &AppName, before: Option<u64>) -> Result<Seen, Refusal> {
    let detail = app::read(client, name).await?;
    let query = EventQuery { app: Some(name.clone()), limit: Some(PAGE), before, after: None };
    let page = client.events(&query).await?;
    let more = page.next_cursor.is_some() || page.items.len() == PAGE as usize;
    let part = html! {
        @if page.items.is_empty() {
            div.empty { p { "Nothing here. Deploys, restarts, crashes and their reasons appear as they happen." } }
        } @else {
            (events::list(&page.items))
            @if let Some(last) = page.items.last().filter(|_| more) {
                div.body { a.button.slim href={ (path::tab(name, "events")) "?before=" (last.id) } { "Older events" } }
            }
        }
    };
    let parts = vec![("head", app::head(&detail)), ("events", part)];
    Ok(Seen { title: format!("{} · events", app::title(&detail)), tone: app::tone(&detail), parts })
}
