//! A nudge: "look again", without saying why.

use std::sync::Arc;
use tokio::sync::Notify;

/// Wakes a level-triggered loop. Any number of nudges before the loop looks count as one, and a nudge that comes
/// while it works is kept for its next round, so none is ever lost.
#[derive(Debug, Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    pub fn nudge(&self) {
        self.0.notify_one();
    }

    /// Waits for the next nudge. Cancel-safe: a nudge is consumed only when this returns.
    pub async fn nudged(&self) {
        self.0.notified().await;
    }
}
