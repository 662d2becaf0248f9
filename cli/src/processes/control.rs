//! The control plane of one machine: server, agent, builder and dashboard in one process.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use dinp_client::Client;
use dinp_common::name::Host;
use dinp_daemon::{admin, http};
use nix::unistd::User;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::layout::Layout;
use super::member::{Member, Role};
use super::settings::Settings;
use super::tokens;
use super::up::ROUTER_USER;

/// Runs until `shutdown`, or until a part of it ends before its time, which is an error of the whole.
pub async fn run(layout: &Layout, settings: Settings, shutdown: CancellationToken) -> Result<()> {
    // Handles that are made before the registry would count nothing.
    admin::metrics();
    layout.prepare().with_context(|| format!("making {}", layout.state.display()))?;
    let _lock = lock(&layout.state)?;
    Member::myself(&settings.text()?)?.record(layout, Role::Control)?;
    let listener = TcpListener::bind(settings.panel).await.with_context(|| format!("listening on {}", settings.panel))?;

    let agent = agent_config(layout, &settings);
    let mut server = dinp_server::start(server_config(layout, &settings)?, shutdown.clone()).await?;
    give_to_router(&layout.routes_socket())?;
    Layout::write_private(&layout.cluster(), server.store.cluster().as_str()).context("keeping the cluster's name")?;
    tokens::ensure(&server.store, &layout.tokens(), &agent.node_name()).await?;

    let (admin, readiness) = (settings.admin(layout), server.readiness.clone());
    let site = site(&settings, &mut server, shutdown.clone());
    let mut parts = JoinSet::new();
    let stop = shutdown.clone();
    parts.spawn(async move {
        http::serve(listener, site, http::Bounds::of_all(), stop).await;
        ("the listener", Ok(()))
    });
    let stop = shutdown.clone();
    parts.spawn(async move { ("the server", server.wait(stop).await) });
    let (ready, stop) = (readiness.clone(), shutdown.clone());
    parts.spawn(async move { ("the agent", dinp_agent::run(agent, ready, stop).await) });
    let (builder, ready, stop) = (builder_config(layout, &settings), readiness.clone(), shutdown.clone());
    parts.spawn(async move { ("the builder", dinp_builder::run(builder, ready, stop).await) });
    tokio::spawn(admin::serve_when_free(admin, readiness, shutdown.clone()));
    // Without systemd there is nobody to notify, and that is no error.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!(panel = %settings.panel, domain = settings.domain, "control plane started");
    all_end(parts, &shutdown).await
}

/// The router runs as nobody in particular and must be able to connect; no other user may.
fn give_to_router(socket: &Path) -> Result<()> {
    let router = User::from_name(ROUTER_USER)?.with_context(|| format!("there is no user {ROUTER_USER}"))?;
    std::os::unix::fs::chown(socket, Some(router.uid.as_raw()), None).with_context(|| format!("giving {} away", socket.display()))
}

async fn all_end(mut parts: JoinSet<(&'static str, Result<()>)>, shutdown: &CancellationToken) -> Result<()> {
    let mut first = Ok(());
    while let Some(joined) = parts.join_next().await {
        let ended = match joined {
            Ok((_, Ok(()))) if shutdown.is_cancelled() => Ok(()),
            Ok((part, Ok(()))) => Err(anyhow::anyhow!("{part} ended before its time")),
            Ok((part, Err(error))) => Err(error.context(format!("{part} failed"))),
            Err(panic) => Err(anyhow::anyhow!("a part panicked: {panic}")),
        };
        // What follows the first failure is its echo.
        if first.is_ok() {
            first = ended;
        }
        shutdown.cancel();
    }
    first
}

/// One origin: the pages, and behind them the same API that everybody else gets.
fn site(settings: &Settings, server: &mut dinp_server::Running, shutdown: CancellationToken) -> axum::Router {
    let api = server.router.clone();
    let client = Client::in_memory(api.clone(), None);
    let pages = dinp_dash::DashConfig { domain: settings.domain.clone(), ..dinp_dash::DashConfig::default() };
    dinp_dash::router(api, client, pages, shutdown)
}

fn server_config(layout: &Layout, settings: &Settings) -> Result<dinp_server::Config> {
    Ok(dinp_server::Config {
        listen: settings.panel,
        store: format!("sqlite:{}", layout.database().display()),
        routes: format!("unix:{}", layout.routes_socket().display()),
        state_dir: layout.state.clone(),
        domain: Host::parse(&settings.domain)?,
        apps_port: settings.listen.port(),
        dashboard_url: settings.panel_url(),
        ..dinp_server::Config::default()
    })
}

pub fn agent_config(layout: &Layout, settings: &Settings) -> dinp_agent::Config {
    dinp_agent::Config {
        servers: vec![format!("ws://{}", settings.panel)],
        token_file: layout.tokens().join(tokens::AGENT),
        state_dir: layout.agent(),
        docker: (&settings.docker).into(),
        bridge: layout.bridge(),
        host_ports: vec![settings.listen.port()],
        ..dinp_agent::Config::default()
    }
}

fn builder_config(layout: &Layout, settings: &Settings) -> dinp_builder::Config {
    dinp_builder::Config {
        server: settings.panel_url(),
        token_file: layout.tokens().join(tokens::BUILDER),
        state_dir: layout.builds(),
        docker: (&settings.docker).into(),
        ..dinp_builder::Config::default()
    }
}

/// One control plane per state; the second says who the first is.
fn lock(state: &Path) -> Result<File> {
    let path = state.join("lock");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
    if file.try_lock().is_err() {
        let mut owner = String::new();
        file.read_to_string(&mut owner)?;
        bail!("another dinp up (process {}) already uses {}", owner.trim(), state.display());
    }
    file.set_len(0)?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_control_plane_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().expect("folder");
        let first = lock(folder.path()).expect("the first");
        let error = lock(folder.path()).expect_err("the second").to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        drop(first);
        lock(folder.path()).expect("free again");
    }

    #[tokio::test]
    async fn a_part_that_ends_early_ends_the_whole_with_its_name() {
        let shutdown = CancellationToken::new();
        let mut parts = JoinSet::new();
        parts.spawn(async { ("the agent", Ok(())) });
        let stop = shutdown.clone();
        parts.spawn(async move {
            stop.cancelled().await;
            ("the server", Ok(()))
        });
        let error = all_end(parts, &shutdown).await.expect_err("ended early").to_string();
        assert_eq!(error, "the agent ended before its time");
    }
}
