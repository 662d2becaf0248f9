//! A refusal as a page, and as a notice within a page.

use dinp_common::problem::Problem;
use maud::{Markup, html};

use super::parts;
use super::shell::{Page, page as shell};
use super::status::Tone;

fn words(problem: &Problem) -> Markup {
    html! {
        p { (parts::sentence(&problem.detail)) }
        @for error in &problem.errors { p { code { (error.pointer) } " " (parts::sentence(&error.detail)) } }
        @if let Some(now) = &problem.now { p { (parts::sentence(now)) } }
        @if let Some(fix) = &problem.suggestion { p { strong { "Try: " } (parts::sentence(fix)) } }
        @if let Some(id) = &problem.trace_id {
            p.small.muted { "Error id " code { (id) } " " (parts::copy(id, "Copy the error id")) }
        }
    }
}

pub(crate) fn page(problem: &Problem) -> Markup {
    let denied = problem.status == 403 && problem.code != "foreign_origin";
    shell(&Page {
        title: &format!("✗ {} – dinp", problem.title),
        tone: Tone::Bad,
        stream: None,
        signed: problem.status != 421,
        main: html! {
            div.page-narrow.stack {
                h1 { (problem.title) }
                div.callout.bad { (words(problem)) }
                @if denied { p { "Whoever set up this machine can grant it: " code { "dinp login" } " with their account." } }
                p { a.button href="/apps" { "To the apps" } }
            }
        },
    })
}

pub(crate) fn no_such_app(name: &str, near: &[String]) -> Markup {
    shell(&Page {
        title: "✗ Not found – dinp",
        tone: Tone::Bad,
        stream: None,
        signed: true,
        main: html! {
            div.page-narrow.stack {
                h1 { "There is no app named " (name) }
                @if near.is_empty() {
                    p { "It may have been deleted, or its address was mistyped." }
                } @else {
                    p {
                        "Did you mean "
                        @for (n, other) in near.iter().enumerate() {
                            @if n > 0 { ", " }
                            a href={ "/apps/" (other) } { (other) }
                        }
                        "?"
                    }
                }
                p { a.button href="/apps" { "All apps" } }
            }
        },
    })
}

/// For a page that stays: goes into its place for notices.
pub(crate) fn notice(problem: &Problem) -> Markup {
    let inner = html! {
        div.callout.bad {
            h2 { (problem.title) }
            (words(problem))
            div.row { button.slim type="button" data-dismiss { "Dismiss" } }
        }
    };
    partial("#notices", "innerHTML", &inner)
}

/// A piece of an answer that htmx puts where it belongs.
pub(crate) fn partial(target: &str, swap: &str, inner: &Markup) -> Markup {
    html! { hx-partial hx-target=(target) hx-swap=(swap) { (inner) } }
}
