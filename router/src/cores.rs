//! One thread, runtime and listener per core, and the way to reach them all.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::limits::Patience;
use crate::lookup::Snapshot;
use crate::meter::LogSink;

/// What the rest of the router asks of a core.
pub enum Ask {
    /// Answer once nothing on this core can still choose by a table older than the one that is stored now. Choosing
    /// an endpoint and counting the request on it are one step of a core's single thread, so an answer from that
    /// thread is proof.
    Barrier(oneshot::Sender<()>),
}

/// How the router ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    pub since_ms: u64,
    /// When what is left is cut off.
    pub until_ms: u64,
}

/// What cores share.
#[derive(Clone)]
pub struct Shared {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub drain: watch::Receiver<Option<Drain>>,
    /// What keeps a drain waiting, over all cores: listeners that still accept, client connections and tunnels.
    pub open: Arc<watch::Sender<usize>>,
    pub log: LogSink,
    pub patience: Patience,
    /// Client connections per core.
    pub connections: usize,
}

/// The running cores.
pub struct Cores {
    asks: Vec<mpsc::UnboundedSender<Ask>>,
    threads: Vec<JoinHandle<()>>,
}

impl Cores {
    /// Starts `count` cores. Each listener goes to one core; a core without one shares the first cores' listeners.
    pub fn start(count: usize, listeners: &[TcpListener], shared: &Shared) -> anyhow::Result<Self> {
        let mut cores = Self { asks: Vec::new(), threads: Vec::new() };
        for index in 0..count {
            let mine = share(index, count, listeners)?;
            let (ask, asked) = mpsc::unbounded_channel();
            let shared = shared.clone();
            let run = move || crate::http1::run_core(shared, mine, asked);
            cores.threads.push(std::thread::Builder::new().name(format!("core-{index}")).spawn(run).context("starting a core")?);
            cores.asks.push(ask);
        }
        Ok(cores)
    }

    /// Waits until every core has passed the barrier. A core that has ended passes by not being there.
    pub async fn barrier(&self) {
        let mut answers = Vec::new();
        for ask in &self.asks {
            let (passed, answer) = oneshot::channel();
            if ask.send(Ask::Barrier(passed)).is_ok() {
                answers.push(answer);
            }
        }
        for answer in answers {
            let _ = answer.await;
        }
    }

    /// Whether a core has stopped by itself, which none ever should.
    pub fn any_ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }
}

fn share(index: usize, count: usize, listeners: &[TcpListener]) -> anyhow::Result<Vec<TcpListener>> {
    let mut mine: Vec<&TcpListener> = listeners.iter().skip(index).step_by(count).collect();
    if mine.is_empty() {
        mine.extend(listeners.get(index % listeners.len().max(1)));
    }
    mine.into_iter().map(|listener| listener.try_clone().context("sharing a listener between cores")).collect()
}
