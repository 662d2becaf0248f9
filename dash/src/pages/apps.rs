//! All apps, and a place to drop the next one.

use axum::extract::Query;
use dinp_client::{Client, PageQuery};
use dinp_common::api::{AppView, Page as Listed};
use maud::{Markup, html};
use serde::Deserialize;

use crate::live::Seen;
use crate::refusal::{Refusal, percent};
use crate::session::Signed;
use crate::view::drop;
use crate::view::shell::{self, Page};
use crate::view::status::{self, Tone};
use crate::view::{deploy, parts, path};

/// Apps on one page.
const PAGE: u32 = 50;

#[derive(Deserialize)]
pub(crate) struct Ask {
    q: Option<String>,
    cursor: Option<String>,
    /// The name of an app that has just gone.
    gone: Option<String>,
}

pub(crate) async fn show(signed: Signed, Query(ask): Query<Ask>) -> Result<Markup, Refusal> {
    let filter = ask.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
    let seen = look(&signed.client, filter, ask.cursor.as_deref()).await?;
    let query = |name: &str, value: Option<&str>| value.map(|text| format!("&{name}={}", percent(text))).unwrap_or_default();
    let stream = format!("/ui/stream?page=apps{}{}", query("q", filter), query("cursor", ask.cursor.as_deref()));
    Ok(shell::page(&Page {
        title: &seen.title,
        tone: seen.tone,
        stream: Some(stream),
        signed: true,
        main: html! {
            @if let Some(gone) = &ask.gone { div.callout.ok role="status" { "The app " strong { (gone) } " is gone." } }
            div.apps-head {
                h1 { "Apps" }
                form method="get" action="/apps" role="search" {
                    label.sr for="q" { "Filter by name" }
                    input #q type="search" name="q" value=[filter] placeholder="Filter by name" autocomplete="off";
                    button type="submit" { "Filter" }
                }
            }
            div.two {
                div { (seen.part("apps")) }
                div {
                    section.panel aria-labelledby="new" {
                        header { h2 #new { "New app" } }
                        div.body { (drop::zone(None, "Drop a file here to run it")) }
                    }
                    p.small.muted { "Or from a terminal: " (parts::command("dinp deploy FILE -a NAME")) }
                }
            }
        },
    }))
}

pub(crate) async fn look(client: &Client, q: Option<&str>, cursor: Option<&str>) -> Result<Seen, Refusal> {
    let query = PageQuery { limit: Some(PAGE), cursor: cursor.map(str::to_owned), q: q.map(str::to_owned) };
    let apps = client.apps(&query).await?;
    let worst = apps.items.iter().map(|app| status::of_app(app.status)).find(|tone| matches!(tone, Tone::Bad | Tone::Warn));
    let part = if apps.items.is_empty() { empty(q) } else { table(&apps, q) };
    Ok(Seen { title: "Apps – dinp".to_owned(), tone: worst.unwrap_or(Tone::Ok), parts: vec![("apps", part)] })
}

fn empty(q: Option<&str>) -> Markup {
    html! {
        section.panel {
            div.empty {
                @if let Some(q) = q {
                    p { "No app has " strong { (q) } " in its name." }
                    p { a.button href="/apps" { "All apps" } }
                } @else {
                    p { strong { "No apps yet." } }
                    p { "Drop a .jar, .war, .tar.gz, .zip or a Linux binary here to run it." }
                }
            }
        }
    }
}

fn table(apps: &Listed<AppView>, q: Option<&str>) -> Markup {
    html! {
        section.panel {
            div.scroll {
                table.cards {
                    caption.sr { "Apps" }
                    thead {
                        tr {
                            th scope="col" { "App" }
                            th scope="col" { "Status" }
                            th.num scope="col" { "Instances" }
                            th scope="col" { "Release" }
                            th scope="col" { "Last change" }
                        }
                    }
                    tbody { @for app in &apps.items { (row(app)) } }
                }
            }
            @if let Some(cursor) = &apps.next_cursor {
                @let filter = q.map(|q| format!("&q={}", percent(q))).unwrap_or_default();
                div.body { a.button.slim href={ "/apps?cursor=" (percent(cursor)) (filter) } { "More apps" } }
            }
        }
    }
}

fn row(app: &AppView) -> Markup {
    html! {
        tr id={ "app-" (app.name) } {
            td data-label="" {
                div {
                    a.name href=(path::app(&app.name)) { (app.name) }
                    a.sub.small href=(app.url) target="_blank" rel="noopener" { (app.url) }
                }
            }
            td data-label="Status" { (status::app(app.status)) }
            td.num data-label="Instances" { (app.instances_running) "/" (app.instances_wanted) }
            td data-label="Release" { @if let Some(release) = app.release { (release) } @else { "–" } }
            td data-label="Last change" { (last(app)) }
        }
    }
}

fn last(app: &AppView) -> Markup {
    html! {
        div {
            @match &app.last_deploy {
                Some(last) => {
                    a href=(path::deploy(&app.name, last.number)) { (last.note) }
                    span.sub {
                        @if last.state.is_final() { (last.state) " · " (parts::ago(&last.created_at)) " · " (last.author) }
                        @else { (deploy::progress(last)) }
                    }
                }
                None => { span.muted { "none" } }
            }
        }
    }
}
