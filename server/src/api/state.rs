//! What handlers share.

use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwapOption;
use dinp_common::api::BaseView;
use dinp_common::name::{AppName, Host};
use dinp_planner::policy::Policy;
use dinp_store::Store;
use tokio_util::sync::CancellationToken;

use super::under_way::UnderWay;
use crate::artifacts::Artifacts;
use crate::auth::Throttle;
use crate::builds::Builds;
use crate::cluster::Cluster;
use crate::config::Config;

/// The settings the API answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiConfig {
    /// Apps are served at `<app>.<domain>`.
    pub domain: Host,
    /// The port users' traffic comes in by.
    pub apps_port: u16,
    /// Where people reach the dashboard.
    pub dashboard_url: String,
    /// The numbers the leader decides by, for dry runs.
    pub policy: Policy,
}

/// A cheap handle; clones share everything.
#[derive(Clone)]
pub struct AppState {
    pub store: Store,
    pub cluster: Cluster,
    pub config: Arc<ApiConfig>,
    pub artifacts: Artifacts,
    pub builds: Builds,
    pub throttle: Arc<Throttle>,
    pub(super) under_way: UnderWay,
    /// What a builder last said of its base images.
    pub bases: Arc<ArcSwapOption<Vec<BaseView>>>,
    /// Ends every stream and long poll.
    pub shutdown: CancellationToken,
}

impl AppState {
    /// # Errors
    /// If the artifacts' folder cannot be opened.
    pub fn open(config: &Config, store: Store, cluster: Cluster, shutdown: CancellationToken) -> anyhow::Result<Self> {
        let dir = config.state_dir.join("artifacts");
        let artifacts = Artifacts::open(&dir).with_context(|| format!("{} cannot be opened", dir.display()))?;
        let builds = Builds::new(store.clone(), cluster.clone(), artifacts.clone());
        let config = Arc::new(ApiConfig {
            domain: config.domain.clone(),
            apps_port: config.apps_port,
            policy: config.policy(),
            dashboard_url: config.dashboard_url.trim_end_matches('/').to_owned(),
        });
        let (throttle, under_way, bases) = (Arc::default(), UnderWay::default(), Arc::default());
        Ok(Self { store, cluster, config, artifacts, builds, throttle, under_way, bases, shutdown })
    }

    /// Takes builds away from silent builders and carries finished ones on, until shutdown.
    ///
    /// # Errors
    /// Never; the type is that of every task of a server.
    pub async fn supervise_builds(self) -> anyhow::Result<()> {
        self.builds.supervise(self.shutdown).await;
        Ok(())
    }

    /// Where an app is served.
    pub fn url(&self, app: &AppName) -> String {
        let ApiConfig { domain, apps_port, .. } = self.config.as_ref();
        if *apps_port == 80 { format!("http://{app}.{domain}") } else { format!("http://{app}.{domain}:{apps_port}") }
    }
}
