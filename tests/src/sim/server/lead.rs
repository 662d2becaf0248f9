//! Holding the lease, as `server/src/lead.rs` does.

use dinp_common::fence::LeaseRow;
use dinp_planner::lease::LeaseStep;

use crate::sim::event::{Event, ServerEvent, StoreAnswer, StoreOp};
use crate::sim::kernel::Ms;
use crate::sim::planted::Planted;
use crate::sim::world::World;

const LOOK_EVERY: Ms = 250;
/// How long a connection may be silent.
const SILENCE: Ms = 10_000;

/// A look at the lease under way.
#[derive(Debug)]
pub(super) struct Look {
    call: u64,
    sent_ms: Ms,
    led: bool,
}

impl super::Server {
    pub(super) fn raise_epoch(&mut self, epoch: u64) {
        self.highest_epoch = self.highest_epoch.max(epoch);
    }
}

impl World {
    pub(super) fn look(&mut self, s: usize) {
        self.drop_silent_links(s);
        let now = self.k.now;
        let server = &mut self.servers[s];
        let clock = server.clock(now);
        let acting = server.lease.acting(clock);
        let led = acting.is_some();
        if server.sole && acting.is_some_and(|fence| fence.epoch > server.highest_epoch) {
            server.lease.renewed(true, clock);
            return self.look_again(s);
        }
        let call = self.ask_store(s, StoreOp::Read);
        self.servers[s].look = Some(Look { call, sent_ms: clock, led });
    }

    fn look_again(&mut self, s: usize) {
        self.servers[s].look = None;
        let life = self.servers[s].life;
        self.k.after(LOOK_EVERY, Event::Server(s, life, ServerEvent::Look));
    }

    fn drop_silent_links(&mut self, s: usize) {
        let clock = self.servers[s].clock(self.k.now);
        let silent = |link: &super::links::Link| clock.saturating_sub(link.heard) >= SILENCE;
        let gone: Vec<(usize, u64)> =
            self.servers[s].links.iter().filter(|(_, link)| silent(link)).map(|(node, link)| (*node, link.id)).collect();
        for (node, link) in gone {
            self.servers[s].links.remove(&node);
            self.close_link(s, node, link);
        }
    }

    /// An answer of the store: to a look, or to a pass.
    pub(super) fn answered(&mut self, s: usize, call: u64, answer: StoreAnswer) {
        if self.servers[s].look.as_ref().is_some_and(|look| look.call == call) {
            self.looked(s, answer);
        } else {
            self.pass_answered(s, call, answer);
        }
    }

    fn looked(&mut self, s: usize, answer: StoreAnswer) {
        let now = self.k.now;
        let clock = self.servers[s].clock(now);
        let Some(look) = self.servers[s].look.take() else { return };
        match answer {
            StoreAnswer::Row(row) => return self.look_step(s, look, &row, clock),
            StoreAnswer::Taken(Some(fence)) => {
                self.servers[s].lease.taken(fence.clone(), look.sent_ms);
                // The answer may come when its time is over.
                if self.servers[s].acting(now).is_some() {
                    crate::say!(self.k, self.servers[s], "leads with epoch {}", fence.epoch);
                    self.watch_lease_taken(s, &fence);
                }
            }
            StoreAnswer::Renewed(held) => self.servers[s].lease.renewed(held, look.sent_ms),
            StoreAnswer::Taken(None) | StoreAnswer::Failed(_) => {}
            StoreAnswer::Loaded(_) | StoreAnswer::Committed(_) => {}
        }
        if !look.led && self.servers[s].acting(now).is_some() {
            self.nudge(s);
        }
        self.look_again(s);
    }

    fn look_step(&mut self, s: usize, look: Look, row: &LeaseRow, clock: Ms) {
        let impatient = self.k.is_planted(Planted::LeaseWithoutWaiting);
        let server = &mut self.servers[s];
        let sole = server.sole || impatient;
        let step = server.lease.step(row, clock, server.highest_epoch, sole);
        let op = match step {
            LeaseStep::Wait => return self.look_again(s),
            LeaseStep::Take { row: seen, at_least } => StoreOp::Take { seen, holder: server.holder.clone(), at_least },
            LeaseStep::Renew(fence) => StoreOp::Renew(fence),
        };
        let call = self.ask_store(s, op);
        self.servers[s].look = Some(Look { call, sent_ms: clock, ..look });
    }
}
