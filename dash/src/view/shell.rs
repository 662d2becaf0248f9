//! What is around every page.

use dinp_common::name::AppName;
use maud::{DOCTYPE, Markup, html};

use super::status::Tone;
use super::{icons, path};
use crate::assets;

/// What htmx is told: problems are notices in the page that stands, and states the scripts put on elements survive a
/// morph.
const HTMX: &str = r#"{"includeIndicatorCSS":false,"history":false,"morphIgnore":["data-htmx-powered","data-busy","aria-busy","aria-disabled","open"],"sse":{"reconnectMaxDelay":5000}}"#;

/// One page: its words for the tab, and what it shows.
pub(crate) struct Page<'a> {
    pub title: &'a str,
    /// The tone of what the page is about, for the tab's icon.
    pub tone: Tone,
    /// The stream that keeps its live parts fresh.
    pub stream: Option<String>,
    /// Whether somebody is signed in, and so can leave.
    pub signed: bool,
    pub main: Markup,
}

pub(crate) fn page(page: &Page<'_>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(HTMX);
                title { (page.title) }
                link id="icon" rel="icon" type="image/svg+xml" href=(assets::url(&format!("icon-{}.svg", page.tone.icon())));
                link rel="stylesheet" href=(assets::url("app.css"));
                script defer src=(assets::url("app.js")) {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                (top(page.signed))
                main #main tabindex="-1" {
                    div #notices aria-live="assertive" {}
                    (page.main)
                }
                @if let Some(stream) = &page.stream {
                    div #live hidden hx-sse:connect=(stream) hx-trigger="load, reconnect" hx-swap="innerHTML" {}
                }
                (tone(page.tone))
                div #stale role="status" hidden {}
                div #toasts role="status" {}
            }
        }
    }
}

fn top(signed: bool) -> Markup {
    html! {
        header.top {
            div {
                a.brand href="/apps" { (icons::brand()) "dinp" }
                @if signed {
                    nav aria-label="Main" { a href="/apps" aria-current="true" { "Apps" } }
                    form.who method="post" action="/logout" { button.quiet.slim type="submit" { "Sign out" } }
                }
            }
        }
    }
}

/// The tab's icon follows this element.
pub(crate) fn tone(tone: Tone) -> Markup {
    html! { div #tone hidden data-icon=(tone.icon()) {} }
}

/// A live part: the stream replaces it by its id.
pub(crate) fn live(id: &str, inner: Markup) -> Markup {
    html! { div id=(id) data-live { (inner) } }
}

/// The tabs of an app's pages.
pub(crate) fn tabs(app: &AppName, current: &str) -> Markup {
    let tabs = [("", "Overview"), ("releases", "Releases"), ("logs", "Logs"), ("events", "Events"), ("settings", "Settings")];
    html! {
        nav.tabs aria-label="App" {
            @for (tab, word) in tabs {
                @let href = if tab.is_empty() { path::app(app) } else { path::tab(app, tab) };
                a href=(href) aria-current=[(tab == current).then_some("page")] { (word) }
            }
        }
    }
}

pub(crate) fn crumbs(parts: &[(&str, &str)]) -> Markup {
    html! {
        nav.crumbs aria-label="Breadcrumbs" {
            @for (n, (href, word)) in parts.iter().enumerate() {
                @if n > 0 { " / " }
                @if n + 1 < parts.len() { a href=(href) { (word) } } @else { span aria-current="page" { (word) } }
            }
        }
    }
}
