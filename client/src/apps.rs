//! Apps and what belongs to them.

use dinp_common::api::{AppDetail, AppView, DeployView, EnvChange, EnvView, InstanceView, Page, ReleaseView, WhyView};
use dinp_common::name::AppName;
use dinp_common::wire::LogLine;

use crate::call::Client;
use crate::error::ClientError;
use crate::query::{LogQuery, PageQuery};
use crate::stream::Items;

impl Client {
    pub async fn apps(&self, page: &PageQuery) -> Result<Page<AppView>, ClientError> {
        self.get(&page.path("/v1/apps")).await
    }

    pub async fn app(&self, app: &AppName) -> Result<AppDetail, ClientError> {
        self.get(&format!("/v1/apps/{app}")).await
    }

    pub async fn app_delete(&self, app: &AppName) -> Result<DeployView, ClientError> {
        self.delete(&format!("/v1/apps/{app}")).await
    }

    pub async fn env(&self, app: &AppName) -> Result<EnvView, ClientError> {
        self.get(&format!("/v1/apps/{app}/env")).await
    }

    pub async fn env_change(&self, app: &AppName, change: &EnvChange) -> Result<DeployView, ClientError> {
        self.patch(&format!("/v1/apps/{app}/env"), change).await
    }

    pub async fn releases(&self, app: &AppName, page: &PageQuery) -> Result<Page<ReleaseView>, ClientError> {
        self.get(&page.path(&format!("/v1/apps/{app}/releases"))).await
    }

    pub async fn instances(&self, app: &AppName) -> Result<Page<InstanceView>, ClientError> {
        self.get(&format!("/v1/apps/{app}/instances")).await
    }

    /// The app's log, instances mixed as the server got their lines.
    pub async fn logs(&self, app: &AppName, query: &LogQuery) -> Result<Items<LogLine>, ClientError> {
        self.ndjson(&query.path(app)).await
    }

    pub async fn why(&self, app: &AppName) -> Result<WhyView, ClientError> {
        self.get(&format!("/v1/apps/{app}/why")).await
    }
}
