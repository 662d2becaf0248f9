//! HTTP/1.1 by hyper: one single-threaded runtime per core, with its own listeners and its own connections to
//! endpoints. Only this folder knows hyper; what it decides, it asks the pure modules.

mod activity;
mod body;
mod connection;
mod forward;
mod pool;
mod receipt;
mod request;
mod tunnel;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::LocalSet;

use crate::clock::now_ms;
use crate::cores::{Ask, Drain, Shared};
use crate::limits::{Patience, SWEEP_MS};
use crate::lookup::Snapshot;
use crate::meter::Meter;

use activity::Clock;
use pool::Pool;

/// What all connections of one core share. Nothing here is seen by another thread.
struct Core {
    snapshot: Arc<arc_swap::ArcSwap<Snapshot>>,
    pool: RefCell<Pool>,
    meter: Meter,
    patience: Patience,
    drain: watch::Receiver<Option<Drain>>,
    open: Arc<watch::Sender<usize>>,
    room: Arc<Semaphore>,
    connections: RefCell<HashMap<u64, Watched>>,
    next_connection: Cell<u64>,
}

/// A client connection as the sweep sees it.
struct Watched {
    clock: Arc<Clock>,
    close: Rc<Notify>,
}

impl Core {
    fn draining(&self) -> bool {
        self.drain.borrow().is_some()
    }

    fn drain(&self) -> Option<Drain> {
        *self.drain.borrow()
    }

    /// Closes client connections that have overstepped a limit, and drops what the pool need not keep.
    fn sweep(&self) {
        let (now, draining) = (now_ms(), self.drain().map(|drain| drain.since_ms));
        for watched in self.connections.borrow().values() {
            if self.patience.is_over(watched.clock.activity(), draining, now) {
                watched.close.notify_one();
            }
        }
        self.pool.borrow_mut().prune(now, &self.snapshot.load());
    }
}

/// Runs one core until the process ends or the drain is over.
pub fn run_core(shared: Shared, listeners: Vec<TcpListener>, asked: mpsc::UnboundedReceiver<Ask>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "a core cannot start");
            return;
        }
    };
    let core = Rc::new(Core {
        snapshot: shared.snapshot,
        pool: RefCell::default(),
        meter: Meter::new(shared.log),
        patience: shared.patience,
        drain: shared.drain,
        open: shared.open,
        room: Arc::new(Semaphore::new(shared.connections)),
        connections: RefCell::default(),
        next_connection: Cell::new(0),
    });
    LocalSet::new().block_on(&runtime, async {
        for listener in listeners {
            tokio::task::spawn_local(connection::accept(core.clone(), listener));
        }
        tokio::task::spawn_local(sweep(core.clone()));
        answer(&core, asked).await;
    });
}

async fn sweep(core: Rc<Core>) {
    let mut tick = tokio::time::interval(Duration::from_millis(SWEEP_MS));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        core.sweep();
    }
}

/// Answers until nobody can ask any more, which is the end of the process.
async fn answer(core: &Core, mut asked: mpsc::UnboundedReceiver<Ask>) {
    while let Some(Ask::Barrier(passed)) = asked.recv().await {
        core.pool.borrow_mut().prune(now_ms(), &core.snapshot.load());
        // The keeper waits for this; where it does not any more, there is nothing to tell.
        let _ = passed.send(());
    }
}
