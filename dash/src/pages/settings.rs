//! Stopping, starting and deleting an app.

use axum::extract::Path;
use dinp_common::api::AppDetail;
use dinp_common::name::AppName;
use maud::{Markup, html};

use super::app;
use crate::refusal::Refusal;
use crate::session::Signed;
use crate::view::path;

pub(crate) async fn show(signed: Signed, Path(name): Path<AppName>) -> Result<Markup, Refusal> {
    let detail = app::read(&signed.client, &name).await?;
    let seen = app::look(&signed.client, &name, "settings").await?;
    let body = html! { div.page-narrow.stack { (run_panel(&detail)) (delete_panel(&name)) } };
    Ok(app::page(&detail, &seen, "settings", &format!("/ui/stream?page=settings&app={name}"), &body))
}

fn run_panel(detail: &AppDetail) -> Markup {
    let app = &detail.app;
    let post = |verb: &str| format!("{}/{verb}", path::app(&app.name));
    html! {
        section.panel aria-labelledby="run-title" {
            header { h2 #run-title { "Run" } }
            div.body.stack {
                @if app.stopped {
                    p { "The app is stopped: no instance runs, and its address answers that it is stopped. Start brings back " (app.instances_when_started) " of " (app.name) "." }
                    form method="post" action=(post("start")) { button.primary type="submit" { "Start" } }
                } @else {
                    p { "Restart replaces every instance by a fresh one, without a gap." }
                    form method="post" action=(post("restart")) { button type="submit" disabled[app.release.is_none()] { "Restart" } }
                    p { "Stop ends every instance after it has finished what it has in flight. Name, releases and environment are kept." }
                    form method="post" action=(post("stop")) { button type="submit" { "Stop" } }
                }
            }
        }
    }
}

fn delete_panel(app: &AppName) -> Markup {
    html! {
        section.panel aria-labelledby="delete-title" {
            header { h2 #delete-title { "Delete" } }
            div.body.stack {
                p { "Deleting ends every instance and removes the app's address, releases and environment. It cannot be undone." }
                form.stack method="post" action={ (path::app(app)) "/delete" } {
                    div.field {
                        label for="confirm" { "Type " code { (app) } " to confirm" }
                        input #confirm name="confirm" autocomplete="off" autocapitalize="none" spellcheck="false" required data-must-equal=(app);
                    }
                    button.danger type="submit" { "Delete " (app) }
                }
            }
        }
    }
}
