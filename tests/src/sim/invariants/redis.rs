//! What Redis holds: never an older leader's word after a newer one's, and whole again soon after somebody has spoilt it.

use dinp_common::fence::Fence;
use dinp_common::route::RouteUpdate;

use super::World;
use super::engine::Later;
use crate::sim::event::Event;
use crate::sim::kernel::{Ms, SECOND};
use crate::sim::net::Place;

/// A pass a second finds it, and the next write mends it.
const HEALED_WITHIN: Ms = 4 * SECOND;

impl World {
    /// Before somebody lays hands on what Redis holds.
    pub fn redis_is_hurt(&mut self) {
        let now = self.k.now;
        (self.watch.redis_hurt, self.watch.redis_highest) = (now, None);
        self.k.after(HEALED_WITHIN, Event::Later(Later::RedisHurt { at: now }));
    }

    /// Redis has taken a table or a step.
    pub fn watch_redis_took(&mut self, update: &RouteUpdate) {
        let fence: &Fence = &update.cert().fence;
        if let Some(refusal) = self.watch.redis_highest.as_ref().and_then(|highest| highest.admits(fence).err()) {
            self.broken("4 (Redis refuses lower epochs)", format!("Redis takes the word of {fence:?}: {refusal}"));
        }
        self.watch.redis_highest = Some(fence.clone());
    }

    pub(super) fn watch_redis_healed(&mut self, at: Ms) {
        if self.watch.redis_hurt != at || self.redis.frozen || self.watch.redis_well_since + HEALED_WITHIN > self.k.now {
            return;
        }
        let Some(s) = self.steady_leader(0) else { return };
        if self.k.net.is_open(Place::Server(s), Place::Redis) && !self.redis.is_whole() {
            self.broken(
                "8 (a flushed Redis heals within a second or two)",
                format!("it was spoilt at {at} ms, and server{s} leads"),
            );
        }
    }
}
