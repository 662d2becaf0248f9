//! A leader's pass, in the order of `server/src/reconcile.rs`: load, decide, commit, publish, level.

use std::rc::Rc;

use dinp_common::fence::Fence;
use dinp_common::plan::Desired;
use dinp_planner::term::Term;

use super::PassData;
use super::feed::Publishing;
use crate::sim::event::{Event, NodeEvent, StoreAnswer, StoreOp};
use crate::sim::kernel::Ms;
use crate::sim::names;
use crate::sim::net::Place;
use crate::sim::planted::Planted;
use crate::sim::store::Fenced;
use crate::sim::world::World;

/// A pass at least this often.
const PERIOD: Ms = 1_000;

/// Where a pass is.
#[derive(Default)]
pub(super) enum Pass {
    #[default]
    Idle,
    Loading {
        call: u64,
        led_before: Fence,
    },
    Committing {
        call: u64,
        data: Rc<PassData>,
    },
    Publishing(Box<Publishing>),
}

impl World {
    pub(super) fn begin_pass(&mut self, s: usize) {
        self.servers[s].nudged = false;
        let Some(led_before) = self.servers[s].acting(self.k.now).cloned() else {
            // What it would read, it would only show.
            return self.wake_after(s, PERIOD);
        };
        let call = self.ask_store(s, StoreOp::Load);
        self.servers[s].pass = Pass::Loading { call, led_before };
    }

    pub(super) fn pass_answered(&mut self, s: usize, call: u64, answer: StoreAnswer) {
        match (std::mem::take(&mut self.servers[s].pass), answer) {
            (Pass::Loading { call: asked, led_before }, StoreAnswer::Loaded(desired)) if asked == call => {
                self.decide(s, led_before, *desired);
            }
            (Pass::Committing { call: asked, data }, StoreAnswer::Committed(Ok(()))) if asked == call => self.committed(s, data),
            (Pass::Loading { call: asked, .. }, StoreAnswer::Failed(why)) if asked == call => {
                crate::say!(self.k, self.servers[s], "cannot load: {why}");
                self.end_pass(s, false);
            }
            (Pass::Committing { call: asked, data }, StoreAnswer::Failed(why)) if asked == call => {
                crate::say!(self.k, self.servers[s], "does not know of its commit: {why}");
                if self.k.is_planted(Planted::UnknownIsDone) {
                    return self.committed(s, data);
                }
                self.end_pass(s, false);
            }
            (Pass::Committing { call: asked, .. }, StoreAnswer::Committed(Err(Fenced))) if asked == call => {
                crate::say!(self.k, self.servers[s], "is fenced: another leads");
                self.end_pass(s, false);
            }
            (pass, _) => self.servers[s].pass = pass,
        }
    }

    fn decide(&mut self, s: usize, led_before: Fence, mut desired: Desired) {
        let now = self.k.now;
        let Some(fence) = self.servers[s].acting(now).filter(|fence| **fence == led_before).cloned() else {
            return self.end_pass(s, false);
        };
        self.servers[s].recorded.clone_from(&desired.routers);
        let mut observed = self.servers[s].observed(now);
        if self.skips_pass(&observed) {
            return self.end_pass(s, false);
        }
        self.twist_input(&mut desired, &mut observed);
        let policy = self.k.policy();
        let now_ms = self.servers[s].clock(now);
        let term = Term::current(&mut self.servers[s].term, &fence, now_ms);
        let (disowned, at) = (term.disown(&mut observed), term.publisher().at());
        if let Some(epoch) = disowned {
            self.servers[s].raise_epoch(epoch);
        }
        self.twist_confirmed(&mut observed, at);
        let twisted = self.twist_read(&desired, &observed);
        let (read, seen) = twisted.as_ref().map_or((&desired, &observed), |(read, seen)| (read, seen));
        let Some(term) = &self.servers[s].term else { return };
        let mut decided = term.decide(read, seen, &policy, now_ms);
        let leading_ms = decided.leading_ms;
        self.twist_plan(&desired, &observed, &mut decided.plan);
        if self.k.trace.listens() {
            for change in &decided.plan.changes {
                if decided.moves_things() {
                    crate::say!(self.k, self.servers[s], "decides {change:?}");
                }
            }
        }
        let changes = Rc::new(decided.plan.changes.clone());
        let data = Rc::new(PassData { fence: fence.clone(), desired, observed, decided, leading_ms, now_ms });
        if changes.is_empty() {
            return self.committed(s, data);
        }
        let call = self.ask_store(s, StoreOp::Commit { fence, changes, data: data.clone() });
        if self.k.is_planted(Planted::ActBeforeStored) {
            return self.committed(s, data);
        }
        self.servers[s].pass = Pass::Committing { call, data };
    }

    /// The changes are stored: what follows from them is made known.
    fn committed(&mut self, s: usize, data: Rc<PassData>) {
        if self.servers[s].doomed && data.decided.moves_things() && self.k.chance(500) {
            return self.ends(Place::Server(s));
        }
        let mut desired = data.desired.clone();
        let mut observed = std::borrow::Cow::Borrowed(&data.observed);
        self.twist_routes(&mut observed);
        if self.servers[s].term.is_none() {
            return self.end_pass(s, false);
        }
        let update = self.follow(s, &data, &mut desired, &observed).map(Rc::new);
        if let Some(update) = &update {
            let cert = update.cert();
            crate::say!(self.k, self.servers[s], "publishes {}/{}: {update:?}", cert.fence.epoch, cert.version);
            self.watch_published(s, update, &desired, &data);
        }
        self.publish(s, update, data, desired);
    }

    /// Routes are out, or had their time: assignments follow.
    pub(super) fn level(&mut self, s: usize, data: &PassData, desired: &Desired) {
        if self.servers[s].doomed && data.decided.moves_things() {
            return self.ends(Place::Server(s));
        }
        let nodes: Vec<(usize, u64, bool)> =
            self.servers[s].links.iter().map(|(node, link)| (*node, link.id, !link.assigned)).collect();
        for (node, link, new_link) in nodes {
            let Some(term) = self.servers[s].term.as_mut() else { return };
            let level = term.level(&names::node(node), desired, &data.observed, new_link, data.now_ms);
            let Ok(Some(mut level)) = level else { continue };
            self.twist_level(&mut level, &data.observed);
            if let Some(known) = self.servers[s].links.get_mut(&node) {
                known.assigned = true;
            }
            let life = self.nodes[node].life;
            let event = Event::Node(node, life, NodeEvent::Assign { server: s, link, assignments: Rc::new(level) });
            self.k.send(Place::Server(s), Place::Node(node), event);
        }
        self.end_pass(s, data.decided.moves_things());
    }

    pub(super) fn end_pass(&mut self, s: usize, again: bool) {
        self.servers[s].pass = Pass::Idle;
        let soon = again || self.servers[s].nudged;
        self.wake_after(s, if soon { 0 } else { PERIOD });
    }
}
