//! What an app's instances write, as they write it.

use axum::extract::{Path, Query};
use dinp_common::name::AppName;
use maud::{Markup, html};
use serde::Deserialize;

use super::app;
use crate::refusal::Refusal;
use crate::session::Signed;
use crate::view::{logs, parts};
use dinp_common::instance::InstanceId;

#[derive(Deserialize)]
pub(crate) struct Ask {
    instance: Option<InstanceId>,
}

pub(crate) async fn show(signed: Signed, Path(name): Path<AppName>, Query(ask): Query<Ask>) -> Result<Markup, Refusal> {
    let detail = app::read(&signed.client, &name).await?;
    let seen = app::look(&signed.client, &name, "logs").await?;
    let chosen = ask.instance.as_ref().map(InstanceId::as_str);
    let body = html! {
        section.panel aria-labelledby="log-title" {
            header {
                h2 #log-title { "Log" }
                span.end { (parts::command(&format!("dinp logs -f {name}"))) }
            }
            (logs::of_app(&name, &detail.instances, chosen, true))
        }
    };
    Ok(app::page(&detail, &seen, "logs", &format!("/ui/stream?page=logs&app={name}"), &body))
}
