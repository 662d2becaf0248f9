//! The short-lived tasks of an agent, none of which outlives it.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A handle for spawning; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs a task until it ends or the agent stops, whichever is first.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
        let stop = self.stop.clone();
        let until_stopped = async move {
            stop.run_until_cancelled(task).await;
        };
        self.tracker.spawn(until_stopped).abort_handle()
    }

    /// Runs a task to its end; it watches [`Tasks::stopping`] itself.
    pub fn spawn_whole(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(task);
    }

    /// Cancelled when the agent stops.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Stops every task and waits for them.
    pub async fn end(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
