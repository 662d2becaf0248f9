//! Routes to Redis and routers' words from it, as `server/src/feed` does.

use std::rc::Rc;

use dinp_common::name::RouterId;
use dinp_common::plan::Desired;
use dinp_common::route::{RouteUpdate, RouterStatus};

use super::PassData;
use super::pass::Pass;
use crate::sim::event::{Event, RedisAnswer, RedisCall, RedisOp, ServerEvent};
use crate::sim::kernel::Ms;
use crate::sim::net::Place;
use crate::sim::planted::Planted;
use crate::sim::redis::STATUS_TTL;
use crate::sim::world::World;

/// How long Redis may take for anything.
const DEADLINE: Ms = 500;
const VERIFY_EVERY: Ms = 1_000;
const READ_EVERY: Ms = 500;

/// A table on its way to Redis.
pub(super) struct Publishing {
    call: u64,
    /// The whole table was sent.
    whole: bool,
    data: Rc<PassData>,
    desired: Desired,
}

impl World {
    pub(super) fn publish(&mut self, s: usize, update: Option<Rc<RouteUpdate>>, data: Rc<PassData>, desired: Desired) {
        let clock = self.servers[s].clock(self.k.now);
        let server = &self.servers[s];
        let Some(term) = &server.term else { return self.end_pass(s, false) };
        let at = term.publisher().at();
        let trusted = self.k.is_planted(Planted::RedisTrusted) && server.verified.is_some();
        let due = !trusted && server.verified.is_none_or(|verified| clock.saturating_sub(verified) >= VERIFY_EVERY);
        if update.is_none() && server.holds == Some(at) && !due {
            return self.level(s, &data, &desired);
        }
        let step = update.filter(|update| matches!(&**update, RouteUpdate::Delta { base, .. } if Some(*base) == server.holds));
        let (op, whole) = match step {
            Some(step) => (RedisOp::Apply(step), false),
            None if server.holds == Some(at) => (RedisOp::Verify(term.publisher().cert()), false),
            None => (RedisOp::Apply(Rc::new(term.publisher().full())), true),
        };
        let call = self.ask_redis(s, op);
        let life = self.servers[s].life;
        self.k.after(DEADLINE, Event::Server(s, life, ServerEvent::RedisLate(call)));
        self.servers[s].pass = Pass::Publishing(Box::new(Publishing { call, whole, data, desired }));
    }

    fn ask_redis(&mut self, s: usize, op: RedisOp) -> u64 {
        let call = self.k.fresh();
        let life = self.servers[s].life;
        let event = Event::Redis(RedisCall { server: s, life, call, op });
        let delay = self.k.between(0, self.k.setting.net.delay_most);
        if !self.k.net.is_cut(Place::Server(s), Place::Redis) {
            self.k.after(delay, event);
        }
        call
    }

    /// Redis takes a command.
    pub fn redis_call(&mut self, call: RedisCall) {
        if self.redis.frozen {
            // It is done when it thaws, if anybody still wants it then.
            if self.k.chance(500) {
                self.k.after(1_000, Event::Redis(call));
            }
            return;
        }
        let answer = match &call.op {
            RedisOp::Apply(update) => self.redis_apply(update),
            RedisOp::Verify(cert) => self.redis.verify(cert),
        };
        let event = ServerEvent::RedisAnswered { call: call.call, answer };
        if !self.k.net.is_cut(Place::Redis, Place::Server(call.server)) {
            let delay = self.k.between(0, self.k.setting.net.delay_most);
            self.k.after(delay, Event::Server(call.server, call.life, event));
        }
    }

    fn redis_apply(&mut self, update: &Rc<RouteUpdate>) -> RedisAnswer {
        self.twist_fence(update);
        let answer = self.redis.apply(update);
        if answer == RedisAnswer::Ok {
            self.watch_redis_took(update);
            self.announce(update);
        }
        answer
    }

    pub(super) fn redis_answered(&mut self, s: usize, call: u64, answer: RedisAnswer) {
        let publishing = match std::mem::take(&mut self.servers[s].pass) {
            Pass::Publishing(publishing) if publishing.call == call => publishing,
            // It had its time, and another pass may be under way.
            pass => return self.servers[s].pass = pass,
        };
        let clock = self.servers[s].clock(self.k.now);
        let Some(at) = self.servers[s].term.as_ref().map(|term| term.publisher().at()) else { return };
        let server = &mut self.servers[s];
        match answer {
            RedisAnswer::Ok => {
                server.holds = Some(at);
                if publishing.whole {
                    server.verified = Some(clock);
                }
            }
            RedisAnswer::Verified(true) => server.verified = Some(clock),
            RedisAnswer::Verified(false) | RedisAnswer::Gap => return self.publish_whole(s, publishing),
            RedisAnswer::Older(epoch) => {
                server.raise_epoch(epoch);
                server.holds = None;
            }
            RedisAnswer::Foreign => server.holds = None,
        }
        self.level(s, &publishing.data, &publishing.desired);
    }

    fn publish_whole(&mut self, s: usize, mut publishing: Box<Publishing>) {
        let Some(full) = self.servers[s].term.as_ref().map(|term| Rc::new(term.publisher().full())) else { return };
        let call = self.ask_redis(s, RedisOp::Apply(full));
        let life = self.servers[s].life;
        self.k.after(DEADLINE, Event::Server(s, life, ServerEvent::RedisLate(call)));
        (publishing.call, publishing.whole) = (call, true);
        self.servers[s].pass = Pass::Publishing(publishing);
    }

    pub(super) fn redis_late(&mut self, s: usize, call: u64) {
        match std::mem::take(&mut self.servers[s].pass) {
            Pass::Publishing(publishing) if publishing.call == call => {
                self.servers[s].holds = None;
                self.level(s, &publishing.data, &publishing.desired);
            }
            pass => self.servers[s].pass = pass,
        }
    }

    /// What a router said at `heard` of this server's clock. It is recorded before its first word
    /// counts, and again where the last load does not name it.
    pub(super) fn router_status(&mut self, s: usize, status: RouterStatus, heard: Ms) {
        let known = self.servers[s].routers.get(&status.router).map(|(known, _)| *known);
        if known.is_some_and(|known| known > heard) {
            return;
        }
        if !self.servers[s].recorded.contains(&status.router) {
            if self.store_answers(s) {
                self.store.record_router(&status.router);
                self.watch_recorded(&status.router);
            } else if known.is_none() {
                return;
            }
        }
        let server = &mut self.servers[s];
        let old = server.routers.insert(status.router.clone(), (heard, status.clone()));
        if old.is_none_or(|(_, old)| old != status) {
            self.nudge(s);
        }
    }

    pub(super) fn router_goodbye(&mut self, s: usize, router: &RouterId) {
        if self.store_answers(s) {
            self.store.forget_router(router);
            self.servers[s].routers.remove(router);
            self.nudge(s);
        }
    }

    pub(super) fn read_keys(&mut self, s: usize) {
        let (now, life) = (self.k.now, self.servers[s].life);
        self.k.after(READ_EVERY, Event::Server(s, life, ServerEvent::ReadKeys));
        if self.redis.frozen || !self.k.net.is_open(Place::Server(s), Place::Redis) {
            return;
        }
        self.redis.statuses.retain(|_, (_, written)| now.saturating_sub(*written) < STATUS_TTL);
        let clock = self.servers[s].clock(now);
        let statuses: Vec<(RouterStatus, Ms)> = self.redis.statuses.values().cloned().collect();
        for (status, written) in statuses {
            let heard = clock.saturating_sub(now - written);
            self.router_status(s, status, heard);
        }
    }
}
