//! The log view's frame; the lines come by a script, since there may be thousands.

use dinp_common::api::InstanceView;
use dinp_common::build::BuildId;
use dinp_common::name::AppName;
use maud::{Markup, html};

/// The log of an app, following. `chosen` is one instance's id.
pub(crate) fn of_app(app: &AppName, instances: &[InstanceView], chosen: Option<&str>, tall: bool) -> Markup {
    let instance = chosen.map(|id| format!("?instance={id}")).unwrap_or_default();
    html! {
        log-view.tall[tall] data-src={ "/ui/apps/" (app) "/logs" (instance) } {
            (lines(&format!("Log of {app}"), "Nothing written yet. What the app writes to its output appears here."))
            (bar(html! {
                @if tall { (choice(instances, chosen)) }
            }))
        }
    }
}

fn choice(instances: &[InstanceView], chosen: Option<&str>) -> Markup {
    // A link from a tile may name an instance that has gone meanwhile; its log is then empty, and says so.
    let gone = chosen.filter(|id| instances.iter().all(|instance| instance.id.as_str() != *id));
    html! {
        label {
            "Instance"
            select data-log-instance {
                option value="" { "all" }
                @for instance in instances {
                    option value=(instance.id) selected[chosen == Some(instance.id.as_str())] {
                        (instance.id) " (" (instance.status) ")"
                    }
                }
                @if let Some(id) = gone { option value=(id) selected { (id) " (gone)" } }
            }
        }
    }
}

/// The log of a build: it has an end.
pub(crate) fn of_build(build: BuildId) -> Markup {
    html! {
        log-view data-src={ "/ui/builds/" (build.0) "/log" } data-ends {
            (lines(&format!("Log of build {build}"), "Waiting for the first line."))
            (bar(html! {}))
        }
    }
}

fn lines(label: &str, empty: &str) -> Markup {
    html! {
        div role="log" aria-live="off" aria-label=(label) tabindex="0" {
            p data-log-empty { (empty) }
        }
        button type="button" data-log-jump hidden { "Jump to live" }
    }
}

fn bar(more: Markup) -> Markup {
    html! {
        div.bar {
            span data-log-state { "connecting…" }
            (more)
            label { input type="checkbox" data-log-wrap; "Wrap" }
        }
    }
}
