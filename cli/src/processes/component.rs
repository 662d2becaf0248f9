//! Each component by itself: configuration, logging, run.

use std::future::Future;
use std::path::Path;

use anyhow::{Context as _, Result};
use dinp_daemon::admin::Readiness;
use dinp_daemon::{config, shutdown, telemetry};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::layout::Layout;
use super::member::{Member, Role};
use super::settings::Settings;
use super::{Agent, Component, Router, Server, control, keeper, purge, tokens};

/// Reads a component's configuration; `None` where reading it was all that was asked.
fn read<T: DeserializeOwned>(component: &Component, prefix: &str) -> Result<Option<T>> {
    let config = config::load(component.config.as_deref(), prefix)?;
    if component.check_config {
        println!("the configuration is valid");
        return Ok(None);
    }
    Ok(Some(config))
}

/// Runs until SIGTERM or SIGINT.
fn until_told<F: Future<Output = Result<()>>>(process: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Result<()> {
    telemetry::init(process);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async { run(shutdown::signals()?).await })
}

pub fn server(options: &Server) -> Result<()> {
    let Some(config) = read::<dinp_server::Config>(&options.component, "DINP_SERVER_")? else { return Ok(()) };
    until_told("server", async |shutdown| {
        if let Some(folder) = &options.tokens {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
            let store = dinp_store::Store::open(&config.store.parse()?).await?;
            tokens::ensure(&store, folder, &dinp_agent::Config::default().node_name()).await?;
        }
        dinp_server::run(config, shutdown).await
    })
}

pub fn agent(options: &Agent) -> Result<()> {
    let Some(config) = read::<dinp_agent::Config>(&options.component, "DINP_AGENT_")? else { return Ok(()) };
    if options.purge {
        return purge::node(&config);
    }
    until_told("agent", |shutdown| dinp_agent::run(config, Readiness::default(), shutdown))
}

pub fn builder(component: &Component) -> Result<()> {
    let Some(config) = read(component, "DINP_BUILDER_")? else { return Ok(()) };
    until_told("builder", |shutdown| dinp_builder::run(config, Readiness::default(), shutdown))
}

pub fn dash(component: &Component) -> Result<()> {
    let Some(config) = read(component, "DINP_DASH_")? else { return Ok(()) };
    until_told("dash", |shutdown| dinp_dash::run(config, shutdown))
}

pub fn router(options: &Router) -> Result<()> {
    // Before it is parsed: if it changes meanwhile, this router counts as one of the older configuration.
    let text = options.component.config.as_deref().map(std::fs::read_to_string).and_then(Result::ok).unwrap_or_default();
    let Some(config) = read(&options.component, "DINP_ROUTER_")? else { return Ok(()) };
    if let Some(state) = &options.state {
        // Before the router becomes nobody in particular and may not write here any more. It needs nobody else to have
        // started before it: the folder of sockets is gone after a reboot.
        let layout = Layout::new(state)?;
        layout.prepare().with_context(|| format!("making {}", layout.state.display()))?;
        Member::myself(&text)?.record(&layout, Role::Router)?;
    }
    telemetry::init("router");
    dinp_router::run_until_signalled(&config)
}

/// The control plane of `dinp up` in this process.
pub fn foreground(layout: &Layout, settings: Settings) -> Result<()> {
    until_told("dinp up", |shutdown| control::run(layout, settings, shutdown))
}

pub fn keeper(state: &Path) -> Result<()> {
    let layout = Layout::new(state)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(keeper::run(&layout))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn sample(component: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/config/{component}.toml"))
    }

    fn loads<T: DeserializeOwned>(component: &str) -> T {
        // A prefix nobody sets: the test's own environment must not help the file.
        config::load(Some(&sample(component)), "DINP_SAMPLE_").unwrap_or_else(|error| panic!("{component}: {error}"))
    }

    #[test]
    fn every_shipped_sample_is_valid() {
        let server: dinp_server::Config = loads("server");
        let agent: dinp_agent::Config = loads("agent");
        let router: dinp_router::Config = loads("router");
        let builder: dinp_builder::Config = loads("builder");
        let dash: dinp_dash::Config = loads("dash");
        agent.check().expect("the agent's own rules");
        router.listen_addresses().expect("the router's own rules on addresses");
        router.feed_address().expect("the router's own rules on its feed");
        assert_eq!(agent.servers, [format!("ws://{}", server.listen)]);
        assert_eq!((builder.server.clone(), dash.server), (format!("http://{}", server.listen), builder.server));
        assert_eq!(server.dashboard_url, format!("http://{}", dash.listen));
        assert_eq!(router.feed, server.routes);
    }
}
