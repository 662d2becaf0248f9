//! Where files are dropped.

use dinp_common::kind::Kind;
use dinp_common::limits::ARTIFACT_BYTES;
use dinp_common::name::AppName;
use maud::{Markup, html};

use super::icons;

/// A drop zone: for a new version of `app`, or for an app whose name the file suggests.
pub(crate) fn zone(app: Option<&AppName>, words: &str) -> Markup {
    html! {
        drop-zone data-app=[app] data-limit=(ARTIFACT_BYTES) {
            div.drop data-drop="ask" {
                (icons::upload())
                p { strong { (words) } }
                p { button type="button" data-drop="choose" { "Choose a file" } }
                p.small.muted { ".jar, .war, .tar.gz, .zip, a Linux binary, or an archive of static files or of a Python app" }
            }
            (confirm())
            div.stack data-drop="sending" hidden {
                progress aria-label="Upload" max="1" value="0" {}
                p.small data-drop="progress" {}
                p { button type="button" data-drop="cancel" { "Cancel" } }
            }
            div.callout.bad data-drop="problem" role="alert" hidden { b {} span {} }
            input type="file" data-drop="picker" hidden aria-label="File to deploy";
            noscript { p.small { "Without scripts, deploy from a terminal: " code { "dinp deploy FILE -a NAME" } } }
        }
    }
}

fn confirm() -> Markup {
    html! {
        form.drop-form data-drop="confirm" hidden {
            p.file data-drop="file" {}
            div.field {
                label for="drop-app" { "App" }
                input #drop-app name="app" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="drop-hint" required;
                p.hint #drop-hint data-drop="hint" role="status" {}
            }
            div.field {
                label for="drop-kind" { "Kind" }
                select #drop-kind name="kind" {
                    option value="" { "detect from the content" }
                    @for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Image) {
                        option value=(kind) { (kind.describe()) }
                    }
                }
            }
            div.row {
                button.primary type="submit" { "Deploy" }
                button type="button" data-drop="discard" { "Cancel" }
            }
        }
    }
}
