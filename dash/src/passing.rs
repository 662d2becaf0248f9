//! Streams handed through between the browser and the API: uploads, and logs. Nothing of them is held here.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use dinp_common::api::DeployView;
use dinp_common::build::BuildId;
use dinp_common::instance::InstanceId;
use dinp_common::kind::Kind;
use dinp_common::limits;
use dinp_common::name::AppName;
use futures_util::StreamExt;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde::Deserialize;

use crate::refusal::{Refusal, percent};
use crate::session::Signed;
use crate::site::Site;
use crate::view::path;

/// Lines from before that a log view opens with.
const LOG_TAIL: u32 = 300;

#[derive(Deserialize)]
pub(crate) struct Upload {
    file_name: String,
    kind: Option<Kind>,
}

/// `PUT /ui/apps/{app}/artifact`: the file goes on as it comes; the answer is the page of the deploy it started.
pub(crate) async fn artifact(
    signed: Signed,
    Path(app): Path<AppName>,
    Query(upload): Query<Upload>,
    request: Request,
) -> Result<Response, Refusal> {
    let kind = upload.kind.map(|kind| format!("&kind={kind}")).unwrap_or_default();
    let uri = format!("/v1/apps/{app}/artifact?file_name={}{kind}", percent(&upload.file_name));
    let length = request.headers().get(CONTENT_LENGTH).cloned();
    let mut onward = http::Request::put(uri).header(CONTENT_TYPE, "application/octet-stream");
    if let Some(length) = length {
        onward = onward.header(CONTENT_LENGTH, length);
    }
    let onward = onward.body(request.into_body()).map_err(|_| bad_request())?;
    let answer = signed.client.forward(onward).await?;
    if answer.status() != StatusCode::ACCEPTED {
        let problem = answer.map(Body::new);
        return if problem.status() == StatusCode::UNAUTHORIZED { Err(Refusal::SignIn) } else { Ok(problem) };
    }
    let body = axum::body::to_bytes(Body::new(answer.into_body()), limits::JSON_BODY_BYTES).await.map_err(|_| bad_answer())?;
    let deploy: DeployView = serde_json::from_slice(&body).map_err(|_| bad_answer())?;
    let location = path::deploy(&deploy.app, deploy.number);
    Ok((StatusCode::ACCEPTED, Json(serde_json::json!({ "location": location }))).into_response())
}

fn bad_request() -> Refusal {
    dinp_common::problem::Problem::new(400, "bad_request", "The upload's address cannot be read.").into()
}

fn bad_answer() -> Refusal {
    let why = "The server took the file, but its answer cannot be read.";
    dinp_common::problem::Problem::new(502, "unexpected_answer", why).suggest("Look at the app's page.").into()
}

#[derive(Deserialize)]
pub(crate) struct LogChoice {
    instance: Option<InstanceId>,
}

/// `GET /ui/apps/{app}/logs`: NDJSON that follows.
pub(crate) async fn logs(
    State(site): State<Site>,
    signed: Signed,
    Path(app): Path<AppName>,
    Query(choice): Query<LogChoice>,
) -> Result<Response, Refusal> {
    let instance = choice.instance.map(|id| format!("&instance={id}")).unwrap_or_default();
    follow(&site, &signed, &format!("/v1/apps/{app}/logs?tail={LOG_TAIL}&follow=true{instance}")).await
}

/// `GET /ui/builds/{build}/log`: NDJSON until the build ends.
pub(crate) async fn build_log(State(site): State<Site>, signed: Signed, Path(build): Path<BuildId>) -> Result<Response, Refusal> {
    follow(&site, &signed, &format!("/v1/builds/{}/log?follow=true", build.0)).await
}

async fn follow(site: &Site, signed: &Signed, uri: &str) -> Result<Response, Refusal> {
    let request = http::Request::builder().method(Method::GET).uri(uri).header(ACCEPT, "application/x-ndjson");
    let answer = signed.client.forward(request.body(Body::empty()).map_err(|_| bad_request())?).await?;
    if answer.status() == StatusCode::UNAUTHORIZED {
        return Err(Refusal::SignIn);
    }
    let mut answer = answer.map(|body| {
        let until = site.shutdown().clone().cancelled_owned();
        Body::from_stream(Body::new(body).into_data_stream().take_until(Box::pin(until)))
    });
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
