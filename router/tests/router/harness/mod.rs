//! What the tests stand on: a publishing server, endpoints, clients, and a router between them.

pub mod client;
pub mod endpoint;
pub mod server;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use dinp_common::instance::InstanceId;
use dinp_common::name::{AppName, Host};
use dinp_common::release::ReleaseNo;
use dinp_common::route::{Endpoint, Route, RouteState, RouteTable, RouterStatus};
use dinp_router::Config;
use dinp_router::control::{self, RunningRouter};
use tokio_util::sync::CancellationToken;

pub use client::{Client, Load, get};
pub use endpoint::App;
pub use server::Server;

/// How long any condition may take to come true.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `condition`, and panics with its last word.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(last) if tokio::time::Instant::now() > deadline => panic!("waited for {what}: {last}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// A router in this process, on a port of its own.
pub struct Router {
    pub address: SocketAddr,
    pub config: Config,
    pub stop: CancellationToken,
    pub thread: Option<JoinHandle<anyhow::Result<()>>>,
}

/// The settings of a router below `dir`, fed by `feed`.
pub fn config(dir: &Path, feed: &str) -> Config {
    Config {
        listen: "127.0.0.1:0".into(),
        feed: feed.to_owned(),
        state_dir: dir.join("state"),
        control: dir.join("control.sock"),
        cores: 2,
        drain_seconds: 20,
        ..Config::default()
    }
}

impl Router {
    /// Starts a router and waits until it answers on its control socket.
    pub async fn start(config: Config) -> Self {
        Self::start_where(config, |running| !running.draining).await
    }

    /// Starts the next version of `before`, which takes over.
    pub async fn replace(before: &Router) -> Self {
        let started = tokio::time::Instant::now();
        let younger = move |running: &RunningRouter| u128::from(running.uptime_ms) < started.elapsed().as_millis();
        Self::start_where(before.config.clone(), younger).await
    }

    async fn start_where(config: Config, is: impl Fn(&RunningRouter) -> bool) -> Self {
        let stop = CancellationToken::new();
        let (own, token) = (config.clone(), stop.clone());
        let thread = std::thread::spawn(move || dinp_router::run(&own, token));
        let running = until("a router", async || {
            assert!(!thread.is_finished(), "the router ended");
            status(&config.control).await.filter(&is).ok_or_else(|| "no answer".to_owned())
        })
        .await;
        Self { address: running.listen[0], config, stop, thread: Some(thread) }
    }

    pub async fn status(&self) -> Option<RunningRouter> {
        status(&self.config.control).await
    }

    /// Waits for the router's thread, which must end well.
    pub async fn ended(mut self) {
        let thread = self.thread.take().expect("waited for once");
        until("the router's end", async || if thread.is_finished() { Ok(()) } else { Err("still running".into()) }).await;
        thread.join().expect("no panic").expect("no error");
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.ended().await;
    }
}

pub async fn status(control: &Path) -> Option<RunningRouter> {
    let control: PathBuf = control.to_owned();
    tokio::task::spawn_blocking(move || control::status(&control)).await.expect("no panic").ok().flatten()
}

pub fn instance(n: u64) -> InstanceId {
    InstanceId::from_sequence(n)
}

pub fn route(app: &str, endpoints: &[(u64, SocketAddr)]) -> Route {
    let endpoint =
        |(n, address): &(u64, SocketAddr)| Endpoint { instance: instance(*n), address: *address, release: ReleaseNo(1) };
    Route {
        host: Host::parse(&format!("{app}.localhost")).expect("host"),
        app: AppName::parse(app).expect("app"),
        state: RouteState::Serving,
        endpoints: endpoints.iter().map(endpoint).collect(),
        tunnel_grace_ms: 300,
    }
}

pub fn table(routes: impl IntoIterator<Item = Route>) -> RouteTable {
    routes.into_iter().map(|route| (route.host.clone(), route)).collect()
}

/// An address where nothing listens.
pub fn dead_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.local_addr().expect("address")
}

pub fn in_flight(status: &RouterStatus, n: u64) -> u32 {
    status.in_flight.get(&instance(n)).copied().unwrap_or(0)
}
