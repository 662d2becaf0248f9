//! A router's life: bind or take over, drop privileges, serve, drain, end.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use dinp_daemon::admin::{self, Readiness};
use dinp_daemon::{Nudge, files, shutdown};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::config::{Config, FeedAddress};
use crate::control::{self, Control, Replaced, Takeover};
use crate::cores::{Cores, Drain, Shared};
use crate::feed;
use crate::flights::Flights;
use crate::keeper::{Desk, Keeper};
use crate::limits::{CONNECTIONS, Patience};
use crate::meter::LogSink;
use crate::report::Reporter;
use crate::state_dir::StateDir;
use crate::{listen, privileges};

/// Milliseconds between two looks at whether all cores run.
const CORE_CHECK_MS: u64 = 5_000;
/// Milliseconds between two looks at whether the routers before this one are empty.
const PREDECESSORS_MS: u64 = 250;
/// Milliseconds for the server to take a goodbye.
const GOODBYE_MS: u64 = 3_000;

/// How a router ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It will come back, with its id and table.
    Stopped,
    /// For good: servers are told.
    Left,
    /// Another process goes on as this router.
    Replaced,
}

/// Runs the router until SIGTERM, SIGINT or a word on its control socket.
///
/// # Errors
/// If it cannot start, in words for the operator; or if a core ends by itself.
pub fn run_until_signalled(config: &Config) -> anyhow::Result<()> {
    start(config, None)
}

/// Runs the router until `shutdown` or a word on its control socket. Makes its own threads and runtimes, so it must not
/// be called from one.
///
/// # Errors
/// If it cannot start, in words for the operator; or if a core ends by itself.
pub fn run(config: &Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    start(config, Some(shutdown))
}

/// Everything bound and owned, and nothing parsed yet.
struct Bound {
    control: UnixListener,
    listeners: Vec<TcpListener>,
    takeover: Option<Takeover>,
    files: u64,
}

fn start(config: &Config, shutdown: Option<CancellationToken>) -> anyhow::Result<()> {
    let feed = config.feed_address()?;
    let bound = bind(config)?;
    let state = StateDir::new(&config.state_dir)?;
    if config.admin.is_some() {
        // Handles that are made before the registry would count nothing.
        admin::metrics();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting the control runtime")?;
    runtime.block_on(live(config, feed, bound, state, shutdown))
}

fn bind(config: &Config) -> anyhow::Result<Bound> {
    let (wanted, cores) = (config.listen_addresses()?, config.core_count());
    let files = files::raise_limit(u64::MAX);
    let state = StateDir::new(&config.state_dir)?;
    let (control, received, takeover) = match control::take_over(&config.control)? {
        Some(received) => (received.control, received.listeners, Some(received.takeover)),
        None => (control::bind(&config.control)?, Vec::new(), None),
    };
    let listeners = listen::listeners(&wanted, cores, received)?;
    if let Some(user) = &config.user {
        privileges::become_user(user, &[state.path(), &config.control])?;
    }
    Ok(Bound { control, listeners, takeover, files })
}

async fn live(
    config: &Config,
    feed: FeedAddress,
    bound: Bound,
    state: StateDir,
    shutdown: Option<CancellationToken>,
) -> anyhow::Result<()> {
    let shutdown = shutdown.map_or_else(shutdown::signals, Ok).context("installing signal handlers")?;
    let readiness = Readiness::default();
    let changed = Nudge::default();
    let flights = Arc::new(Flights::new(changed.clone()));
    let reporter = Arc::new(Reporter::new(state.router_id()?, flights.clone(), changed));
    let (drain, open) = (watch::Sender::new(None), Arc::new(watch::Sender::new(0)));
    let replaced = match bound.takeover {
        Some(takeover) => Some(takeover.ready(&reporter).await?),
        None => None,
    };
    let snapshot = Arc::new(ArcSwap::default());
    let (mut keeper, desk) = Keeper::new(snapshot.clone(), flights, state.clone(), readiness.clone(), reporter.clone());
    keeper.load();
    let count = config.core_count();
    let shared = Shared {
        snapshot,
        drain: drain.subscribe(),
        open: open.clone(),
        log: LogSink::start(config.access_log).context("starting the access log")?,
        patience: Patience::default(),
        connections: per_core(count, bound.files),
    };
    let cores = Arc::new(Cores::start(count, &bound.listeners, &shared)?);
    keeper.started();

    let control = Arc::new(Control::new(desk.clone(), bound.listeners, bound.control.try_clone()?, keeper.owns_state.clone()));
    let mut keeping = tokio::spawn(keeper.run(cores.clone()));
    if let Some(replaced) = replaced {
        follow_replaced(replaced, &desk).await?;
    }
    let following = tokio::spawn(follow(feed.clone(), desk.clone(), control.hold.subscribe()));
    bound.control.set_nonblocking(true)?;
    tokio::spawn(control::serve(control.clone(), tokio::net::UnixListener::from_std(bound.control)?));
    let admin_end = CancellationToken::new();
    if let Some(address) = config.admin {
        // The router before this one may still hold it.
        tokio::spawn(admin::serve_when_free(address, readiness.clone(), admin_end.clone()));
    }
    tracing::info!(router = %reporter.id(), listen = config.listen, cores = count, feed = config.feed, "the router serves");

    let why = tokio::select! {
        () = shutdown.cancelled() => control.begin_or_begun(End::Stopped),
        end = control.ended() => end,
        () = core_ended(&cores) => anyhow::bail!("a core has ended by itself"),
        result = &mut keeping => anyhow::bail!("the table's keeper ended: {result:?}"),
    };
    control.stop_listening();
    if why == End::Replaced {
        admin_end.cancel();
    }
    drain_all(config, &readiness, &drain, &open, &reporter).await;
    if why == End::Left {
        // A report after the goodbye would enter this router again, and servers would wait for it for ever.
        following.abort();
        let _ = following.await;
        leave(&feed, &desk, &state).await;
    }
    tracing::info!(?why, "the router has ended");
    Ok(())
}

/// Makes the old process drain, and stays with it until it is empty.
async fn follow_replaced(mut replaced: Replaced, desk: &Desk) -> anyhow::Result<()> {
    replaced.serving().await?;
    let table = desk.table();
    tokio::spawn(async move {
        if let Err(error) = replaced.follow(table).await {
            tracing::warn!(error = format!("{error:#}"), "the router before this one");
        }
    });
    Ok(())
}

/// Returns when a core has ended, which none does by itself.
async fn core_ended(cores: &Cores) {
    while !cores.any_ended() {
        tokio::time::sleep(Duration::from_millis(CORE_CHECK_MS)).await;
    }
}

/// Client connections per core: half of the files, since each request may need one more to an endpoint.
fn per_core(cores: usize, files: u64) -> usize {
    let half = usize::try_from(files / 2).unwrap_or(usize::MAX);
    (half.min(CONNECTIONS) / cores).max(1)
}

/// Feeds the router, except while another process is taking over.
async fn follow(feed: FeedAddress, desk: Desk, mut hold: watch::Receiver<bool>) {
    // The sender lives as long as the control socket.
    while hold.wait_for(|hold| !*hold).await.is_ok() {
        tokio::select! {
            () = feed::run(&feed, &desk) => {}
            _ = hold.wait_for(|hold| *hold) => {}
        }
    }
}

/// Stops accepting and waits for what is open, here and in processes replaced before, until the grace is over.
async fn drain_all(
    config: &Config,
    readiness: &Readiness,
    drain: &watch::Sender<Option<Drain>>,
    open: &watch::Sender<usize>,
    reporter: &Reporter,
) {
    readiness.not_ready("drain", "stopping");
    let since_ms = now_ms();
    let grace = Duration::from_secs(config.drain_seconds);
    let until_ms = since_ms + u64::try_from(grace.as_millis()).unwrap_or(u64::MAX / 2);
    drain.send_replace(Some(Drain { since_ms, until_ms }));
    let mut open = open.subscribe();
    let empty = async {
        // The sender lives as long as this function's caller.
        let _ = open.wait_for(|open| *open == 0).await;
        while reporter.has_predecessors() {
            tokio::time::sleep(Duration::from_millis(PREDECESSORS_MS)).await;
        }
    };
    if tokio::time::timeout(grace, empty).await.is_err() {
        tracing::warn!(open = *open.borrow(), "the grace is over; what is still open is cut off");
    }
}

async fn leave(feed: &FeedAddress, desk: &Desk, state: &StateDir) {
    if let Err(error) = state.forget_table() {
        tracing::warn!(error = format!("{error:#}"), "the table stays on disk");
    }
    match tokio::time::timeout(Duration::from_millis(GOODBYE_MS), feed::goodbye(feed, desk)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = format!("{error:#}"), "no server has heard the goodbye"),
        Err(_) => tracing::warn!("no server has heard the goodbye"),
    }
}
