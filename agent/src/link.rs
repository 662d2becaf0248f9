//! The connection to one server, opened by the agent and kept open.

mod session;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dinp_common::name::NodeName;
use dinp_common::node::NodeFacts;
use dinp_planner::agent::{Gate, Observed};
use http::Uri;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::core::Input;
use crate::engine::Engine;

/// The first pause before another try, and the longest; each is a random part of twice the one before.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A session that lasted this long was good: the next try comes soon.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// What every link needs.
#[derive(Debug, Clone)]
pub struct Shared {
    pub node: NodeName,
    /// Random for each start of the agent.
    pub boot: String,
    pub token_file: PathBuf,
    pub engine: Arc<Engine>,
    pub inputs: mpsc::Sender<Input>,
    pub observed: watch::Receiver<Arc<Observed>>,
    pub gate: watch::Receiver<Option<Gate>>,
    pub facts: watch::Receiver<NodeFacts>,
}

/// Connects, talks, and connects again.
pub async fn run(server: Uri, shared: Shared) {
    let mut pause = PAUSE_FIRST;
    let mut seq = 0;
    let mut said = false;
    loop {
        let began = Instant::now();
        let error = session::run(&server, &shared, &mut seq).await;
        if shared.inputs.is_closed() {
            return;
        }
        if began.elapsed() >= GOOD_AFTER {
            (pause, said) = (PAUSE_FIRST, false);
        }
        // Said once, not at every try of a long outage.
        if std::mem::replace(&mut said, true) {
            tracing::debug!(%server, "still no connection to the server: {error:#}");
        } else {
            tracing::warn!(%server, "no connection to the server: {error:#}");
        }
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
