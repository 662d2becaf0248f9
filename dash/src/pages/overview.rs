//! An app at a glance: its instances, how many are wanted, what it writes, what happened, and a place for the next version.

use axum::extract::{Path, Query};
use dinp_client::{Client, EventQuery};
use dinp_common::api::AppDetail;
use dinp_common::event::Event;
use dinp_common::limits::INSTANCES_PER_APP;
use dinp_common::name::AppName;
use maud::{Markup, html};
use serde::Deserialize;

use super::app;
use crate::live::Seen;
use crate::refusal::Refusal;
use crate::session::Signed;
use crate::view::{drop, events, instances, logs, parts, path};

/// Events beside the instances; the events' own page has the rest.
const EVENTS: u32 = 8;

#[derive(Deserialize)]
pub(crate) struct Ask {
    /// Somebody comes by the set-up link: the drop zone is for an app of their own.
    welcome: Option<String>,
}

pub(crate) async fn show(signed: Signed, Path(name): Path<AppName>, Query(ask): Query<Ask>) -> Result<Markup, Refusal> {
    let detail = app::read(&signed.client, &name).await?;
    let seen = look_at(&signed.client, &detail).await?;
    let welcome = ask.welcome.is_some();
    let body = html! {
        @if welcome { (greeting(&detail)) }
        (seen.part("news"))
        div.two {
            div {
                section.panel aria-labelledby="instances-title" {
                    header {
                        h2 #instances-title { "Instances" }
                        (seen.part("scale"))
                    }
                    div.body { (seen.part("instances")) }
                }
                section.panel aria-labelledby="log-title" {
                    header {
                        h2 #log-title { "Log" }
                        span.end { a href=(path::tab(&name, "logs")) { "Open" } }
                    }
                    (logs::of_app(&name, &[], None, false))
                }
            }
            div {
                (drop_panel(&name, welcome))
                section.panel aria-labelledby="now-title" {
                    header { h2 #now-title { "Now" } }
                    div.body { (seen.part("now")) }
                }
                section.panel aria-labelledby="events-title" {
                    header {
                        h2 #events-title { "Events" }
                        span.end { a href=(path::tab(&name, "events")) { "All" } }
                    }
                    (seen.part("events"))
                }
            }
        }
    };
    Ok(app::page(&detail, &seen, "", &format!("/ui/stream?page=overview&app={name}"), &body))
}

fn greeting(detail: &AppDetail) -> Markup {
    html! {
        div.callout.ok {
            h2 { "This is " (detail.app.name) ", the sample app. It is running." }
            p {
                "Open it at " a href=(detail.app.url) target="_blank" rel="noopener" { (detail.app.url) }
                ", then drop a file of your own beside it to run that too."
            }
        }
    }
}

fn drop_panel(name: &AppName, welcome: bool) -> Markup {
    html! {
        section.panel aria-labelledby="drop-title" {
            header { h2 #drop-title { @if welcome { "Deploy your own app" } @else { "Deploy a new version" } } }
            div.body {
                @if welcome { (drop::zone(None, "Drop a file here to run it")) }
                @else { (drop::zone(Some(name), &format!("Drop a file to deploy to {name}"))) }
            }
        }
    }
}

pub(crate) async fn look(client: &Client, name: &AppName) -> Result<Seen, Refusal> {
    let detail = app::read(client, name).await?;
    look_at(client, &detail).await
}

async fn look_at(client: &Client, detail: &AppDetail) -> Result<Seen, Refusal> {
    let query = EventQuery { app: Some(detail.app.name.clone()), limit: Some(EVENTS), ..EventQuery::default() };
    let events = client.events(&query).await?;
    Ok(Seen {
        title: app::title(detail),
        tone: app::tone(detail),
        parts: vec![
            ("head", app::head(detail)),
            ("news", app::news(detail)),
            ("scale", scale(detail)),
            ("instances", tiles(detail)),
            ("now", now(detail)),
            ("events", event_part(&events.items)),
        ],
    })
}

fn scale(detail: &AppDetail) -> Markup {
    let app = &detail.app;
    let action = format!("{}/scale", path::app(&app.name));
    html! {
        @if app.stopped {
            span.muted.small { "Stopped; " (app.instances_when_started) " when started" }
        } @else if app.release.is_some() {
            form.stepper method="post" action=(action) hx-post=(action) hx-swap="none" {
                label.sr for="wanted" { "Instances wanted" }
                input type="hidden" name="before" value=(app.instances_wanted);
                span.group {
                    button type="button" value="-1" data-step aria-label="One instance less" { "−" }
                    input #wanted type="number" name="instances" min="1" max=(INSTANCES_PER_APP) required
                        value=(app.instances_wanted) autocomplete="off";
                    button type="button" value="1" data-step aria-label="One instance more" { "+" }
                }
                button.primary type="submit" { "Scale" }
                span data-change aria-live="polite" {}
            }
        }
    }
}

fn tiles(detail: &AppDetail) -> Markup {
    let app = &detail.app;
    html! {
        @if detail.instances.is_empty() {
            div.empty {
                @if app.stopped { p { strong { (app.name) " is stopped." } } p { "Its name and releases are kept. Start brings it back." } }
                @else { p { strong { "No instance yet." } } p { (parts::sentence(&app.reason)) } }
            }
        } @else {
            (instances::tiles(&detail.instances, app.memory))
        }
    }
}

/// What serves: release, image, memory, health check.
fn now(detail: &AppDetail) -> Markup {
    let app = &detail.app;
    html! {
        @match app.release {
            None => { p.muted { "Nothing serves yet." } }
            Some(release) => {
                dl.facts {
                    dt { "Release" }
                    dd { (release) " · " a href=(path::tab(&app.name, "releases")) { "all releases" } }
                    @if let Some(image) = &detail.image { dt { "Image" } dd { (parts::image(image)) } }
                    @if let Some(memory) = app.memory {
                        dt { "Memory" }
                        dd { (memory) @if app.instances_wanted > 1 { " × " (app.instances_wanted) } }
                    }
                    @if let (Some(port), Some(health)) = (detail.port, &detail.health) {
                        dt { "Health check" } dd { (health.describe(port)) }
                    }
                }
            }
        }
    }
}

fn event_part(items: &[Event]) -> Markup {
    html! {
        @if items.is_empty() { div.empty { p { "Nothing has happened yet." } } }
        @else { (events::list(items)) }
    }
}
