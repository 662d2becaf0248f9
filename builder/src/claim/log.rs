//! A build's log on its way to the server, and with it the proof that the builder lives.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dinp_client::Client;
use dinp_common::api::BuildLogLines;
use dinp_common::build::BuildId;
use dinp_daemon::Nudge;
use tokio_util::sync::CancellationToken;

/// A claim lapses after 15 s; three renewals may be lost before.
const RENEWAL: Duration = Duration::from_secs(4);
/// A claim nobody heard of for this long is somebody else's.
const LAPSE: Duration = Duration::from_secs(15);
/// Lines that wait for a server which does not answer; the oldest go first.
const LINES_WAITING: usize = 1_000;
/// Lines in one message.
const LINES_AT_ONCE: usize = 200;

#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    inner: Arc<Mutex<Inner>>,
    nudge: Nudge,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<String>,
    closed: bool,
}

impl Log {
    pub(super) fn say(&self, line: String) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.waiting.len() == LINES_WAITING {
            inner.waiting.pop_front();
        }
        inner.waiting.push_back(line);
        drop(inner);
        self.nudge.nudge();
    }

    /// No line comes after this; what waits is still told.
    pub(super) fn close(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.nudge.nudge();
    }

    /// Sends lines as they come and renews the claim, until the log is closed and told. Cancels `stop` once the claim
    /// is lost: two builders must not work on one build.
    pub(super) async fn tell(self, client: Client, build: BuildId, claim: String, stop: CancellationToken) {
        let mut heard = tokio::time::Instant::now();
        loop {
            let (lines, closed) = self.next_lines();
            let ended = closed && lines.is_empty();
            if ended {
                return;
            }
            let sent = client.builder_log(build, &BuildLogLines { claim: claim.clone(), lines: lines.clone() }).await;
            match sent {
                Ok(()) => heard = tokio::time::Instant::now(),
                Err(error) if error.is_passing() && heard.elapsed() < LAPSE => {
                    self.put_back(lines);
                    if closed {
                        return;
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%build, "the claim is lost: {error}");
                    stop.cancel();
                    return;
                }
            }
            // Cancel-safe: a nudge that came while sending is still there.
            tokio::select! {
                () = self.nudge.nudged() => {}
                () = tokio::time::sleep(RENEWAL) => {}
            }
        }
    }

    fn next_lines(&self) -> (Vec<String>, bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let count = inner.waiting.len().min(LINES_AT_ONCE);
        (inner.waiting.drain(..count).collect(), inner.closed)
    }

    fn put_back(&self, lines: Vec<String>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.into_iter().rev() {
            inner.waiting.push_front(line);
        }
    }
}
