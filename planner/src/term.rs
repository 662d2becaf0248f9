//! One leader's term: what it remembers from pass to pass within one epoch, and nothing beyond.
//!
//! A pass is: [`Term::decide`] on a whole load, then the changes are stored, then [`Term::stored`] gives the routes and
//! [`Term::level`] the assignments that follow. Its shell executes these in this order and adds nothing.

use std::collections::BTreeMap;

use dinp_common::fence::Fence;
use dinp_common::instance::InstanceId;
use dinp_common::name::{Host, NodeName};
use dinp_common::plan::{Change, Desired};
use dinp_common::route::{RouteUpdate, TableVersion};
use dinp_common::wire::{ASSIGN_EVERY_MS, Assignments};

use crate::apply::apply;
use crate::assign;
use crate::observed::{Observed, RouterSeen};
use crate::plan::{Input, Plan, plan};
use crate::policy::Policy;
use crate::promises;
use crate::refused;
use crate::routes::routes;
use crate::table::Publisher;

/// All times are milliseconds on the server's own monotonic clock.
#[derive(Debug)]
pub struct Term {
    fence: Fence,
    /// Time in which nodes could be heard: see [`Term::decide`].
    led_ms: u64,
    last_pass_ms: u64,
    publisher: Publisher,
    sent: BTreeMap<NodeName, Sent>,
    revision: u64,
    /// Apps whose records were refused in the last pass, and why.
    refused: BTreeMap<String, String>,
}

/// The level last given to a node.
#[derive(Debug)]
struct Sent {
    level: Assignments,
    at_ms: u64,
}

/// What a pass has decided and nobody has stored yet.
#[derive(Debug)]
#[must_use]
pub struct Decided {
    pub plan: Plan,
    /// How long the term had lasted, without the time in which nothing could be decided.
    pub leading_ms: u64,
    now_ms: u64,
}

impl Decided {
    /// Whether a change can make another one possible. Time alone cannot; its own pass follows anyway.
    pub fn moves_things(&self) -> bool {
        let moves = |change: &Change| match change {
            Change::Spend { .. } | Change::Progress { .. } | Change::Held { .. } | Change::Backoff { .. } | Change::Note(_) => {
                false
            }
            // Its moves are places and moves.
            Change::Rebalance(state) => state.ended.is_some(),
            Change::Place { .. }
            | Change::Move { .. }
            | Change::Prove { .. }
            | Change::Forget { .. }
            | Change::Finish { .. }
            | Change::Live { .. }
            | Change::Erase { .. } => true,
        };
        self.plan.changes.iter().any(moves)
    }
}

/// Completes what was loaded: of an app with a record that is not understood, what was known last stays. `last` is
/// what this server knew after its last pass.
pub fn complete(desired: &mut Desired, last: &Desired) {
    refused::keep(desired, last);
}

impl Term {
    pub fn new(fence: Fence, now_ms: u64) -> Self {
        Self {
            publisher: Publisher::new(fence.clone()),
            fence,
            led_ms: 0,
            last_pass_ms: now_ms,
            sent: BTreeMap::new(),
            revision: 0,
            refused: BTreeMap::new(),
        }
    }

    /// The term of `fence`: the one in `slot` if it is that one, else a new one in its place.
    pub fn current<'t>(slot: &'t mut Option<Term>, fence: &Fence, now_ms: u64) -> &'t mut Term {
        let term = slot.take().filter(|term| term.fence == *fence);
        slot.insert(term.unwrap_or_else(|| Term::new(fence.clone(), now_ms)))
    }

    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// A router that has confirmed what this leader never published, be it of the same epoch and version, follows another one
    /// and refuses ours, so it confirms nothing here. Answers the highest epoch of such a router, which this leader has to go above.
    pub fn disown(&self, observed: &mut Observed) -> Option<u64> {
        let ours = self.publisher.at();
        let is_foreign = |seen: &RouterSeen, at: TableVersion| {
            let by_another = seen.holder.as_ref().is_some_and(|holder| *holder != self.fence.holder);
            at > ours || (at.epoch == ours.epoch && by_another)
        };
        let foreign = observed.routers.values_mut().filter(|seen| seen.confirmed.is_some_and(|at| is_foreign(seen, at)));
        foreign.filter_map(|seen| seen.confirmed.take()).map(|at| at.epoch).max()
    }

    /// Decides on what was loaded whole within this term.
    pub fn decide(&self, desired: &Desired, observed: &Observed, policy: &Policy, now_ms: u64) -> Decided {
        let gap_ms = now_ms.saturating_sub(self.last_pass_ms);
        let elapsed_ms = gap_ms.min(policy.pass_most_ms);
        // Without its store a leader passes over nothing and lets nobody in who connects. So a gap counts for no more than a
        // pass, and after a long one, that a node is not heard says as little as under a new leader.
        let leading_ms = if gap_ms >= policy.lost_after_ms { 0 } else { self.led_ms + elapsed_ms };
        let publisher = &self.publisher;
        let mut plan = plan(Input { desired, observed, publisher, policy, elapsed_ms, leading_ms });
        plan.changes.extend(refused::news(&self.refused, &desired.refused));
        Decided { plan, leading_ms, now_ms }
    }

    /// The changes are stored: `desired` becomes what is stored now. Answers the route update that follows, if any.
    pub fn stored(
        &mut self,
        decided: &Decided,
        desired: &mut Desired,
        observed: &Observed,
        domain: &Host,
        policy: &Policy,
    ) -> Option<RouteUpdate> {
        apply(desired, &decided.plan.changes);
        (self.led_ms, self.last_pass_ms) = (decided.leading_ms, decided.now_ms);
        self.refused.clone_from(&desired.refused);
        for change in &decided.plan.changes {
            if let Change::Forget { instance } = change {
                self.publisher.forget(instance);
            }
        }
        let table = routes(desired, observed, domain, decided.leading_ms, policy);
        debug_assert_eq!(promises::of_routes(desired, table.values()), Ok(()));
        self.publisher.publish(&table)
    }

    /// What to send a connected node: its level, at once when it changed or over a `new_link`, and every so often when it
    /// did not, since hearing it is how an agent knows that somebody leads.
    ///
    /// # Errors
    /// The instance whose release is missing from `desired`; the node keeps what it has.
    pub fn level(
        &mut self,
        node: &NodeName,
        desired: &Desired,
        observed: &Observed,
        new_link: bool,
        now_ms: u64,
    ) -> Result<Option<Assignments>, InstanceId> {
        let mut level = Assignments {
            fence: self.fence.clone(),
            revision: self.revision + 1,
            instances: assign::assignments(desired, node)?,
            released: assign::released(desired, observed, node),
            images: desired.images.clone(),
        };
        if let Some(sent) = self.sent.get(node) {
            let revision = std::mem::replace(&mut level.revision, sent.level.revision);
            let same = sent.level == level;
            let due = now_ms.saturating_sub(sent.at_ms) >= ASSIGN_EVERY_MS / 2;
            if same && !due && !new_link {
                return Ok(None);
            }
            if !same {
                level.revision = revision;
            }
        }
        self.revision = self.revision.max(level.revision);
        self.sent.insert(node.clone(), Sent { level: level.clone(), at_ms: now_ms });
        Ok(Some(level))
    }
}
