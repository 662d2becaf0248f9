//! The leader's loop: load, plan, commit, publish, dispatch.
//!
//! It is level-triggered: a pass takes no input but what is stored and what was seen, so a lost nudge costs at most
//! one period, and a restart is an ordinary pass. What a pass cannot read it does not act on.

use std::time::{Duration, Instant};

use dinp_common::name::Host;
use dinp_daemon::{beat, failpoint};
use dinp_planner::observed::Confirmations;
use dinp_planner::policy::Policy;
use dinp_planner::term::{self, Term};
use dinp_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::feed::Feed;
use crate::lead::Leadership;
use crate::meter::Meter;
use crate::view;

/// A pass at least this often: time passes, and somebody may have changed the database by hand.
const PERIOD: Duration = Duration::from_secs(1);

/// Where a test can end the process, in the order a pass meets them.
pub const FAILPOINTS: &[&str] = &["server.planned", "server.committed", "server.published", "server.dispatched"];

pub struct Reconciler {
    store: Store,
    cluster: Cluster,
    leadership: Leadership,
    feed: Feed,
    domain: Host,
    policy: Policy,
    term: Option<Term>,
    meter: Meter,
    /// Where this server's clock begins.
    started: Instant,
    last_event: Option<u64>,
}

impl Reconciler {
    pub fn new(store: Store, cluster: Cluster, leadership: Leadership, feed: Feed, domain: Host, policy: Policy) -> Self {
        let (term, meter, started, last_event) = (None, Meter::new(), Instant::now(), None);
        Self { store, cluster, leadership, feed, domain, policy, term, meter, started, last_event }
    }

    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            let began = Instant::now();
            let outcome = self.pass().await;
            self.meter.pass(began, &outcome, self.leadership.acting().is_some());
            match outcome {
                Ok(true) => self.cluster.nudge(),
                Ok(false) => {}
                Err(StoreError::Fenced) => {
                    tracing::warn!("another server leads now; this one stops acting");
                }
                Err(error) => tracing::warn!(%error, "a pass could not be made; everything stays as it is"),
            }
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = self.cluster.nudged() => {}
                () = tokio::time::sleep_until(beat::within(PERIOD)) => {}
            }
        }
    }

    /// One pass; `true` if it changed something that the next pass should see at once.
    async fn pass(&mut self) -> Result<bool, StoreError> {
        // What was read before the lease was taken may lack the last words of the leader before.
        let led_before = self.leadership.acting();
        let mut desired = self.store.desired_load().await?;
        term::complete(&mut desired, &self.cluster.snapshot().desired);
        let now = Instant::now();
        let mut observed = self.cluster.observed(now);
        let now_ms = now.saturating_duration_since(self.started).as_millis() as u64;
        let Some(fence) = self.leadership.acting().filter(|fence| led_before.as_ref() == Some(fence)) else {
            // The term stays: where a late renewal lets this server go on with the same fence, its versions go on too.
            self.show(view::following(desired, &observed, &self.policy)).await;
            return Ok(false);
        };
        let term = Term::current(&mut self.term, &fence, now_ms);
        if let Some(epoch) = term.disown(&mut observed) {
            self.cluster.raise_epoch(epoch);
        }
        let decided = term.decide(&desired, &observed, &self.policy, now_ms);
        let again = decided.moves_things();
        let reach = |point: &str| {
            if again {
                failpoint::here(point)
            }
        };
        reach("server.planned");
        if !decided.plan.changes.is_empty() {
            self.store.commit(&fence, &decided.plan.changes).await?;
        }
        reach("server.committed");
        let update = term.stored(&decided, &mut desired, &observed, &self.domain, &self.policy);
        self.feed.publish(update, term.publisher()).await;
        reach("server.published");
        for (node, outbox) in self.cluster.outboxes() {
            // A new connection has been sent nothing yet.
            let new_link = outbox.assignments.borrow().is_none();
            match term.level(&node, &desired, &observed, new_link, now_ms) {
                Ok(Some(level)) => drop(outbox.assignments.send_replace(Some(level))),
                Ok(None) => {}
                Err(instance) => {
                    tracing::error!(%node, %instance, "its release is missing from the store; the node keeps what it has");
                }
            }
        }
        reach("server.dispatched");
        let confirmations = Confirmations::new(term.publisher(), &desired.routers, &observed, &self.policy);
        let routed = confirmations.routed(desired.instances.iter().map(|instance| instance.id.clone()));
        let snapshot = view::leading(desired, &observed, &self.policy, decided.leading_ms, decided.plan, routed);
        self.show(snapshot).await;
        Ok(again)
    }

    async fn show(&mut self, snapshot: crate::cluster::Snapshot) {
        let changed = view::changed(&self.cluster.snapshot(), &snapshot);
        self.cluster.show(snapshot);
        for event in changed {
            self.cluster.announce(event);
        }
        if self.cluster.watchers() > 0 {
            view::announce_events(&self.store, &self.cluster, &mut self.last_event).await;
        } else {
            self.last_event = None;
        }
    }
}

#[cfg(test)]
mod tests;
