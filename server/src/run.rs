//! Starting the server: everything is parsed and opened before anything is served.

use std::fs::File;
use std::path::Path;

use anyhow::Context;
use axum::Router;
use dinp_daemon::admin::{self, Readiness};
use dinp_daemon::http;
use dinp_store::{Store, StoreUrl};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::cluster::Cluster;
use crate::config::Config;
use crate::feed::{Feed, Hearing};
use crate::lead::Leadership;
use crate::ready;
use crate::reconcile::Reconciler;

/// A started server. Its router is still to be served: alone, or beside the dashboard.
pub struct Running {
    pub router: Router,
    pub store: Store,
    pub cluster: Cluster,
    /// A task that ends before shutdown is an error of the whole server.
    pub tasks: JoinSet<anyhow::Result<()>>,
    pub readiness: Readiness,
    /// Proves that no other server uses this SQLite file.
    _lock: Option<File>,
}

/// Runs a server of its own until `shutdown`.
///
/// # Errors
/// If something cannot be opened, or a task ends before its time.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.listen).await.with_context(|| format!("{} cannot be listened on", config.listen))?;
    let admin = match config.admin {
        Some(address) => Some(TcpListener::bind(address).await.with_context(|| format!("{address} cannot be listened on"))?),
        None => None,
    };
    if admin.is_some() {
        // Handles that are made before the registry would count nothing.
        admin::metrics();
    }
    let mut running = start(config, shutdown.clone()).await?;
    if let Some(admin) = admin {
        let (readiness, shutdown) = (running.readiness.clone(), shutdown.clone());
        running.tasks.spawn(async move {
            admin::serve(admin, readiness, shutdown).await;
            Ok(())
        });
    }
    // The throttle on wrong tokens counts by the caller's address.
    let (router, stop) = (running.router.clone(), shutdown.clone());
    running.tasks.spawn(async move {
        http::serve(listener, router, http::Bounds::of_all(), stop).await;
        Ok(())
    });
    running.wait(shutdown).await
}

/// Opens the store and the feed, and starts every loop.
///
/// # Errors
/// If the store, the route feed or the state directory cannot be opened.
pub async fn start(config: Config, shutdown: CancellationToken) -> anyhow::Result<Running> {
    let url: StoreUrl = config.store.parse()?;
    std::fs::create_dir_all(&config.state_dir).with_context(|| format!("{} cannot be made", config.state_dir.display()))?;
    let lock = match &url {
        StoreUrl::Sqlite(path) => Some(lock(path)?),
        StoreUrl::MySql(_) => None,
    };
    let store = Store::open(&url).await?;
    let cluster = Cluster::new();
    let mut tasks = JoinSet::new();

    let leadership = Leadership::new(hex::encode(rand::random::<[u8; 8]>()), lock.is_some());
    tasks.spawn(leadership.clone().run(store.clone(), cluster.clone(), shutdown.clone()));

    let hearing = Hearing { store: store.clone(), cluster: cluster.clone() };
    let (feed, heard) = Feed::open(&config.routes, hearing, shutdown.clone())?;
    tasks.spawn(async move { heard.await? });

    let policy = config.policy();
    policy.check().context("the configured times contradict each other")?;
    let domain = config.domain.clone();
    let reconciler = Reconciler::new(store.clone(), cluster.clone(), leadership, feed, domain, policy);
    tasks.spawn(reconciler.run(shutdown.clone()));

    let state = api::AppState::open(&config, store.clone(), cluster.clone(), shutdown.clone())?;
    tasks.spawn(state.clone().supervise_builds());
    let router = api::router(state);
    let readiness = ready::unknown();
    let (asked, looking, until) = (store.clone(), readiness.clone(), shutdown);
    tasks.spawn(async move {
        ready::keep(looking, asked, until).await;
        Ok(())
    });
    Ok(Running { router, store, cluster, tasks, readiness, _lock: lock })
}

impl Running {
    /// Waits for `shutdown`, and for every task after it.
    ///
    /// # Errors
    /// That of the first task that ended before its time.
    pub async fn wait(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.context("a task of the server panicked").and_then(|outcome| outcome);
            if !shutdown.is_cancelled() {
                shutdown.cancel();
                ended?;
                anyhow::bail!("a task of the server ended before its time");
            }
            if let Err(error) = ended {
                tracing::warn!(%error, "a task ended badly during shutdown");
            }
        }
        Ok(())
    }
}

/// Two servers on one SQLite file would both believe that they lead.
fn lock(state_file: &Path) -> anyhow::Result<File> {
    let path = state_file.with_added_extension("lock");
    let file = File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => anyhow::bail!(
            "another DINP server already uses {}; stop it first (dinp up --stop), or give this one a state file of its own",
            state_file.display()
        ),
        Err(std::fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("{} cannot be locked", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::{Instant, timeout};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_second_server_on_one_state_file_is_refused_whatever_its_state_directory() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = |name: &str| Config {
            store: format!("sqlite:{}", dir.path().join("state.db").display()),
            routes: format!("unix:{}", dir.path().join(format!("{name}.sock")).display()),
            state_dir: dir.path().join(name),
            ..Config::default()
        };
        let shutdown = CancellationToken::new();
        let first = start(config("a"), shutdown.clone()).await.expect("starts");
        assert_eq!(first.readiness.report(), ["store: it was not asked yet"]);
        let Err(second) = start(config("b"), shutdown.clone()).await else { panic!("two servers lead") };
        assert!(second.to_string().contains("already uses"), "{second:#}");
        shutdown.cancel();
        first.wait(shutdown).await.expect("ends");
        start(config("b"), CancellationToken::new()).await.expect("the file is free again");
    }

    /// An address that was free a moment ago.
    async fn free() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("its address")
    }

    async fn answer(address: SocketAddr, path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut client) = TcpStream::connect(address).await {
            let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).await.expect("is sent");
            client.read_to_string(&mut answer).await.expect("is read");
        }
        answer
    }

    #[tokio::test]
    async fn a_server_stops_although_a_client_is_silent() {
        let dir = tempfile::tempdir().expect("a folder");
        let (listen, admin) = (free().await, free().await);
        let config = Config {
            listen,
            admin: Some(admin),
            store: format!("sqlite:{}", dir.path().join("state.db").display()),
            routes: format!("unix:{}", dir.path().join("routes.sock").display()),
            state_dir: dir.path().to_owned(),
            ..Config::default()
        };
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(run(config, shutdown.clone()));
        let begun = Instant::now();
        while !answer(admin, "/readyz").await.ends_with("ready\n") {
            assert!(begun.elapsed() < SOON, "{}", answer(admin, "/readyz").await);
        }
        let metrics = answer(admin, "/metrics").await;
        assert!(metrics.contains("dinp_reconcile_seconds_count"), "{metrics}");
        let mut silent = TcpStream::connect(listen).await.expect("connects");
        let half = b"POST /v1/sessions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
            content-length: 9\r\nexpect: 100-continue\r\n\r\n";
        silent.write_all(half).await.expect("is sent");
        silent.read_exact(&mut [0]).await.expect("the server waits for the body");
        shutdown.cancel();
        let ended = timeout(http::ENDS_WITHIN + SOON, ended).await.expect("a silent client holds the stop");
        ended.expect("runs").expect("stops without an error");
    }
}
