//! Deploys and builds: every change to an app.

use std::time::Duration;

use dinp_common::api::{BuildLine, BuildView, DeployRequest, DeployView, Page, PauseRequest, RollbackRequest, ScaleRequest};
use dinp_common::build::BuildId;
use dinp_common::deploy::DeployNo;
use dinp_common::name::AppName;
use dinp_common::rehearsal::PlanView;

use crate::call::Client;
use crate::error::ClientError;
use crate::query::PageQuery;
use crate::stream::Items;

impl Client {
    /// Starts a deploy; the app is made if it does not exist.
    pub async fn deploy_create(&self, app: &AppName, request: &DeployRequest) -> Result<DeployView, ClientError> {
        self.post(&format!("/v1/apps/{app}/deploys"), request).await
    }

    /// What a deploy would lead to, once its image is built; nothing is uploaded or changed.
    pub async fn deploy_plan(&self, app: &AppName, request: &DeployRequest) -> Result<PlanView, ClientError> {
        self.post(&format!("/v1/apps/{app}/deploys?dry_run=true"), request).await
    }

    /// What a scale would lead to; nothing is changed.
    pub async fn scale_plan(&self, app: &AppName, request: &ScaleRequest) -> Result<PlanView, ClientError> {
        self.post(&format!("/v1/apps/{app}/scale?dry_run=true"), request).await
    }

    pub async fn deploys(&self, app: &AppName, page: &PageQuery) -> Result<Page<DeployView>, ClientError> {
        self.get(&page.path(&format!("/v1/apps/{app}/deploys"))).await
    }

    pub async fn deploy(&self, app: &AppName, number: DeployNo) -> Result<DeployView, ClientError> {
        self.get(&format!("/v1/apps/{app}/deploys/{}", number.0)).await
    }

    /// The deploy once it is final, or as it is after `wait`.
    pub async fn deploy_wait(&self, app: &AppName, number: DeployNo, wait: Duration) -> Result<DeployView, ClientError> {
        let path = format!("/v1/apps/{app}/deploys/{}?wait={}", number.0, wait.as_secs());
        self.poll(&path, wait).await
    }

    /// Ends a running deploy as cancelled; the last good release takes its place again.
    pub async fn deploy_cancel(&self, app: &AppName, number: DeployNo) -> Result<DeployView, ClientError> {
        self.post_empty(&format!("/v1/apps/{app}/deploys/{}/cancel", number.0)).await
    }

    /// Holds a running deploy back until it is resumed.
    pub async fn deploy_pause(&self, app: &AppName, number: DeployNo, request: &PauseRequest) -> Result<DeployView, ClientError> {
        self.post(&format!("/v1/apps/{app}/deploys/{}/pause", number.0), request).await
    }

    pub async fn deploy_resume(&self, app: &AppName, number: DeployNo) -> Result<DeployView, ClientError> {
        self.post_empty(&format!("/v1/apps/{app}/deploys/{}/resume", number.0)).await
    }

    pub async fn scale(&self, app: &AppName, request: &ScaleRequest) -> Result<DeployView, ClientError> {
        self.post(&format!("/v1/apps/{app}/scale"), request).await
    }

    pub async fn rollback(&self, app: &AppName, request: &RollbackRequest) -> Result<DeployView, ClientError> {
        self.post(&format!("/v1/apps/{app}/rollback"), request).await
    }

    pub async fn restart(&self, app: &AppName) -> Result<DeployView, ClientError> {
        self.post_empty(&format!("/v1/apps/{app}/restart")).await
    }

    pub async fn stop(&self, app: &AppName) -> Result<DeployView, ClientError> {
        self.post_empty(&format!("/v1/apps/{app}/stop")).await
    }

    pub async fn start(&self, app: &AppName) -> Result<DeployView, ClientError> {
        self.post_empty(&format!("/v1/apps/{app}/start")).await
    }

    pub async fn build(&self, build: BuildId) -> Result<BuildView, ClientError> {
        self.get(&format!("/v1/builds/{}", build.0)).await
    }

    /// A build's log from its first line; with `follow` until the build ends.
    pub async fn build_log(&self, build: BuildId, follow: bool) -> Result<Items<BuildLine>, ClientError> {
        let follow = if follow { "?follow=true" } else { "" };
        self.ndjson(&format!("/v1/builds/{}/log{follow}", build.0)).await
    }
}
