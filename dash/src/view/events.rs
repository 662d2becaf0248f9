//! What happened, and why.

use dinp_common::event::{Event, Severity};
use maud::{Markup, html};

use super::parts;

pub(crate) fn list(events: &[Event]) -> Markup {
    html! {
        ol.events {
            @for event in events { (row(event)) }
        }
    }
}

fn row(event: &Event) -> Markup {
    let (class, word) = match event.severity {
        Severity::Info => ("info", ""),
        Severity::Warning => ("warning", "Warning: "),
        Severity::Error => ("error", "Error: "),
    };
    html! {
        li class=(class) id={ "e-" (event.id) } {
            span.mark aria-hidden="true" {}
            div {
                p { span.sr { (word) } (parts::sentence(&event.text)) }
                p.sub {
                    (parts::ago(&event.at)) " · " (event.actor)
                    @if let Some(instance) = &event.instance { " · " span.mono { (instance) } }
                    @if let Some(node) = &event.node { " · " (node) }
                }
                @if let Some(detail) = &event.detail {
                    details {
                        summary.small { "Details" }
                        pre.output tabindex="0" { (detail) }
                    }
                }
            }
        }
    }
}
