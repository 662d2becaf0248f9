//! The leader's loop: load, plan, commit, publish, dispatch.
//!
//! It is level-triggered: a pass takes no input but what is stored and what was seen, so a lost nudge costs at most
//! one period, and a restart is an ordinary pass. What a pass cannot read it does not act on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dinp_common::fence::Fence;
use dinp_common::name::{Host, NodeName};
use dinp_common::plan::{Change, Desired};
use dinp_common::wire::{ASSIGN_EVERY_MS, Assignments};
use dinp_daemon::failpoint;
use dinp_planner::observed::{Confirmations, Observed};
use dinp_planner::plan::{Input, plan};
use dinp_planner::policy::Policy;
use dinp_planner::table::Publisher;
use dinp_planner::{apply, assign, routes};
use dinp_store::{Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, Outbox};
use crate::feed::Feed;
use crate::lead::Leadership;
use crate::view;

/// A pass at least this often: time passes, and somebody may have changed the database by hand.
const PERIOD: Duration = Duration::from_secs(1);
/// One pass stands for at most this much time, so that an outage of the database ends no deploy.
const PASS_MOST_MS: u64 = 2_000;

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
    last_event: Option<u64>,
}

/// What a leader remembers within one epoch. It starts empty with each, so nothing of an older one leaks in.
struct Term {
    fence: Fence,
    since: Instant,
    last_pass: Instant,
    publisher: Publisher,
    sent: BTreeMap<NodeName, Sent>,
    revision: u64,
}

struct Sent {
    assignments: Assignments,
    at: Instant,
}

impl Reconciler {
    pub fn new(store: Store, cluster: Cluster, leadership: Leadership, feed: Feed, domain: Host, policy: Policy) -> Self {
        Self { store, cluster, leadership, feed, domain, policy, term: None, last_event: None }
    }

    pub async fn run(mut self, shutdown: CancellationToken) -> anyhow::Result<()> {
        loop {
            match self.pass().await {
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
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    /// One pass; `true` if it changed something that the next pass should see at once.
    async fn pass(&mut self) -> Result<bool, StoreError> {
        // What was read before the lease was taken may lack the last words of the leader before.
        let led_before = self.leadership.acting();
        let mut desired = self.store.desired_load().await?;
        let now = Instant::now();
        let mut observed = self.cluster.observed(now);
        let Some(fence) = self.leadership.acting().filter(|fence| led_before.as_ref() == Some(fence)) else {
            // The term stays: where a late renewal lets this server go on with the same fence, its versions go on too.
            self.show(view::following(desired, &observed, &self.policy)).await;
            return Ok(false);
        };
        let term = Term::current(&mut self.term, &fence, now);
        if let Some(epoch) = term.disown(&mut observed) {
            self.cluster.raise_epoch(epoch);
        }
        let leading_ms = now.duration_since(term.since).as_millis() as u64;
        let elapsed_ms = (now.duration_since(term.last_pass).as_millis() as u64).min(PASS_MOST_MS);
        let (policy, publisher) = (&self.policy, &term.publisher);
        let decided = plan(Input { desired: &desired, observed: &observed, publisher, policy, elapsed_ms, leading_ms });
        let again = decided.changes.iter().any(moves_things);
        let reach = |point: &str| {
            if again {
                failpoint::here(point)
            }
        };
        reach("server.planned");
        if !decided.changes.is_empty() {
            self.store.commit(&fence, &decided.changes).await?;
            apply::apply(&mut desired, &decided.changes);
        }
        reach("server.committed");
        term.last_pass = now;
        for change in &decided.changes {
            if let Change::Forget { instance } = change {
                term.publisher.forget(instance);
            }
        }
        let table = routes::routes(&desired, &observed, &self.domain, leading_ms, &self.policy);
        let update = term.publisher.publish(&table);
        self.feed.publish(update, &term.publisher).await;
        reach("server.published");
        term.dispatch(&self.cluster, &desired, &observed, now);
        reach("server.dispatched");
        let confirmations = Confirmations::new(&term.publisher, &desired.routers, &observed, &self.policy);
        let routed = confirmations.routed(desired.instances.iter().map(|instance| instance.id.clone()));
        let snapshot = view::leading(desired, &observed, &self.policy, leading_ms, decided.holds, routed);
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

/// Whether a change can make another one possible. Time alone cannot; its own pass follows anyway.
fn moves_things(change: &Change) -> bool {
    match change {
        Change::Spend { .. } | Change::Progress { .. } | Change::Backoff { .. } | Change::Note(_) => false,
        Change::Place { .. }
        | Change::Move { .. }
        | Change::Prove { .. }
        | Change::Forget { .. }
        | Change::Finish { .. }
        | Change::Live { .. }
        | Change::Erase { .. } => true,
    }
}

impl Term {
    fn current<'t>(slot: &'t mut Option<Term>, fence: &Fence, now: Instant) -> &'t mut Term {
        let term = slot.take().filter(|term| term.fence == *fence);
        slot.insert(term.unwrap_or_else(|| Term {
            fence: fence.clone(),
            since: now,
            last_pass: now,
            publisher: Publisher::new(fence.clone()),
            sent: BTreeMap::new(),
            revision: 0,
        }))
    }

    /// A router that has confirmed what this leader never published follows another one and refuses ours, so it confirms
    /// nothing here. Answers the highest epoch of such a router, which this leader has to go above.
    fn disown(&self, observed: &mut Observed) -> Option<u64> {
        let ours = self.publisher.at();
        let foreign = observed.routers.values_mut().filter(|seen| seen.confirmed.is_some_and(|at| at > ours));
        foreign.filter_map(|seen| seen.confirmed.take()).map(|at| at.epoch).max()
    }

    /// Gives every connected node its level, at once when it changed and every so often when it did not: hearing it
    /// is how an agent knows that somebody leads.
    fn dispatch(&mut self, cluster: &Cluster, desired: &Desired, observed: &Observed, now: Instant) {
        for (node, outbox) in cluster.outboxes() {
            let instances = match assign::assignments(desired, &node) {
                Ok(instances) => instances,
                Err(instance) => {
                    tracing::error!(%node, %instance, "its release is missing from the store; the node keeps what it has");
                    continue;
                }
            };
            let released = assign::released(desired, observed, &node);
            let level =
                Assignments { fence: self.fence.clone(), revision: 0, instances, released, images: desired.images.clone() };
            self.send(node, &outbox, level, now);
        }
    }

    fn send(&mut self, node: NodeName, outbox: &Outbox, mut level: Assignments, now: Instant) {
        if let Some(sent) = self.sent.get_mut(&node) {
            level.revision = sent.assignments.revision;
            let same = sent.assignments == level;
            let due = now.duration_since(sent.at) >= Duration::from_millis(ASSIGN_EVERY_MS / 2);
            // A new connection has been sent nothing yet.
            if same && !due && outbox.assignments.borrow().is_some() {
                return;
            }
            if same {
                sent.at = now;
                outbox.assignments.send_replace(Some(level));
                return;
            }
        }
        self.revision += 1;
        level.revision = self.revision;
        outbox.assignments.send_replace(Some(level.clone()));
        self.sent.insert(node, Sent { assignments: level, at: now });
    }
}

#[cfg(test)]
mod tests;
