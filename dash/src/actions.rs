//! What the pages' forms ask for. Each is one call of the API; the answer is the page of the deploy it started.

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, Json};
use dinp_client::ClientError;
use dinp_common::api::{DeployView, PauseRequest, RollbackRequest, ScaleRequest};
use dinp_common::deploy::DeployNo;
use dinp_common::limits::INSTANCES_PER_APP;
use dinp_common::name::AppName;
use dinp_common::problem::Problem;
use dinp_common::release::ReleaseNo;
use http::HeaderMap;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;
use crate::session::Signed;
use crate::site::Site;
use crate::view::{parts, path, problem};

fn to_deploy(deploy: &DeployView) -> Response {
    Redirect::to(&path::deploy(&deploy.app, deploy.number)).into_response()
}

pub(crate) async fn restart(signed: Signed, Path(app): Path<AppName>) -> Result<Response, Refusal> {
    Ok(to_deploy(&signed.client.restart(&app).await?))
}

pub(crate) async fn stop(signed: Signed, Path(app): Path<AppName>) -> Result<Response, Refusal> {
    Ok(to_deploy(&signed.client.stop(&app).await?))
}

pub(crate) async fn start(signed: Signed, Path(app): Path<AppName>) -> Result<Response, Refusal> {
    Ok(to_deploy(&signed.client.start(&app).await?))
}

pub(crate) async fn cancel(signed: Signed, Path((app, number)): Path<(AppName, DeployNo)>) -> Result<Response, Refusal> {
    Ok(to_deploy(&signed.client.deploy_cancel(&app, number).await?))
}

pub(crate) async fn pause(signed: Signed, Path((app, number)): Path<(AppName, DeployNo)>) -> Result<Response, Refusal> {
    Ok(to_deploy(&signed.client.deploy_pause(&app, number, &PauseRequest::default()).await?))
}

pub(crate) async fn resume(signed: Signed, Path((app, number)): Path<(AppName, DeployNo)>) -> Result<Response, Refusal> {
    Ok(to_deploy(&signed.client.deploy_resume(&app, number).await?))
}

pub(crate) async fn rollback(signed: Signed, Path((app, to)): Path<(AppName, ReleaseNo)>) -> Result<Response, Refusal> {
    Ok(to_deploy(&signed.client.rollback(&app, &RollbackRequest { to: Some(to) }).await?))
}

#[derive(Deserialize)]
pub(crate) struct Confirmation {
    confirm: String,
}

pub(crate) async fn delete(
    signed: Signed,
    Path(app): Path<AppName>,
    Form(form): Form<Confirmation>,
) -> Result<Response, Refusal> {
    if form.confirm.trim() != app.as_str() {
        let why = format!("To delete {app}, type its name; \"{}\" is another. Nothing was changed.", form.confirm.trim());
        return Err(Problem::new(422, "not_confirmed", why).into());
    }
    Ok(to_deploy(&signed.client.app_delete(&app).await?))
}

#[derive(Deserialize)]
pub(crate) struct Scale {
    instances: String,
    /// What the form showed as wanted: what Undo returns to.
    before: Option<u32>,
}

/// `POST /apps/{app}/scale`. With scripts the page stays, and a toast says what happens and takes it back.
pub(crate) async fn scale(
    signed: Signed,
    Path(app): Path<AppName>,
    headers: HeaderMap,
    Form(form): Form<Scale>,
) -> Result<Response, Refusal> {
    let wanted = form.instances.trim().parse::<u32>().ok().filter(|n| (1..=INSTANCES_PER_APP).contains(n));
    let wanted = wanted.ok_or_else(|| {
        let why = format!("An app can have 1 to {INSTANCES_PER_APP} instances, not {:?}.", form.instances.trim());
        Problem::new(422, "instances_out_of_range", why)
            .suggest("To have none, stop the app.")
            .field("/instances", "not in range")
    })?;
    let request = ScaleRequest { instances: Some(wanted), ..ScaleRequest::default() };
    let deploy = signed.client.scale(&app, &request).await?;
    if !headers.contains_key("hx-request") {
        return Ok(to_deploy(&deploy));
    }
    let toast = problem::partial("#toasts", "beforeend", &scaled(&deploy, wanted, form.before));
    Ok(html! { (toast) (problem::partial("#notices", "innerHTML", &html! {})) }.into_response())
}

fn scaled(deploy: &DeployView, wanted: u32, before: Option<u32>) -> Markup {
    let app = &deploy.app;
    let action = format!("{}/scale", path::app(app));
    html! {
        div.toast {
            p {
                "Scaling " (app) " to " (parts::plural(u64::from(wanted), "instance", "instances")) ": "
                a href=(path::deploy(app, deploy.number)) { "deploy " (deploy.number) }
            }
            @if let Some(before) = before.filter(|before| *before != wanted && *before > 0) {
                form method="post" action=(action) hx-post=(action) hx-swap="none" {
                    input type="hidden" name="instances" value=(before);
                    button.slim type="submit" { "Undo" }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct NameAsk {
    #[serde(default)]
    name: String,
    /// A file to suggest a name from.
    file_name: Option<String>,
}

/// What a name would mean, for the form beside a dropped file.
#[derive(Serialize)]
pub(crate) struct NameSaid {
    name: String,
    ok: bool,
    hint: String,
}

/// `GET /ui/name`
pub(crate) async fn name(
    State(site): State<Site>,
    signed: Signed,
    Query(ask): Query<NameAsk>,
) -> Result<Json<NameSaid>, Refusal> {
    let said = |name: &str, ok: bool, hint: String| Ok(Json(NameSaid { name: name.to_owned(), ok, hint }));
    let parsed = match &ask.file_name {
        Some(file) => AppName::suggest(file).ok_or_else(|| "Give it a name: it becomes part of the address.".to_owned()),
        None if ask.name.is_empty() => Err("Give it a name: it becomes part of the address.".to_owned()),
        None => AppName::parse(&ask.name).map_err(|error| parts::sentence(&error.to_string())),
    };
    let app = match parsed {
        Ok(app) => app,
        Err(why) => return said(&ask.name, false, why),
    };
    match signed.client.app(&app).await {
        Ok(found) => {
            let serves = found.app.release.map(|release| format!(", which runs {release}")).unwrap_or_default();
            said(app.as_str(), true, format!("A new version of {app}{serves}."))
        }
        Err(ClientError::Problem(problem)) if problem.status == 404 => {
            let version = site.client().version().await?;
            said(app.as_str(), true, format!("A new app at {}", parts::app_url(&app, &version)))
        }
        Err(error) => Err(error.into()),
    }
}
