//! What goes wrong.

mod foreign;
mod mend;

use super::event::Event;
use super::kernel::{MINUTE, Ms, SECOND};
use super::net::Place;
use super::redis::CertKey;
use super::world::World;

pub use mend::Mend;

/// Everything that can go wrong. A seed has some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ServerDies,
    ServerStops,
    ServerFreezes,
    AgentDies,
    AgentFreezes,
    MachineReboots,
    MachineLost,
    ManyLost,
    RouterDies,
    RouterFreezes,
    RouterLeaves,
    OneWayCut,
    Cut,
    FlappingCut,
    DockerHangs,
    DockerRestarts,
    DockerFails,
    DockerLists,
    DockerDeaf,
    NodeDiskFull,
    RouterDiskFull,
    StoreDown,
    StoreHangs,
    StoreSlow,
    StoreLosesTail,
    RedisFlushed,
    RedisEmptied,
    RedisHalf,
    RedisJunk,
    RedisFrozen,
    ContainerCrashes,
    ContainerSick,
    ContainerRemoved,
    AllServersDark,
    /// Between what is stored and what follows from it.
    ServerDiesActing,
    /// Between a call on Docker and its answer.
    AgentDiesActing,
    /// Between a new table and its place on the disk.
    RouterDiesWriting,
}

const KINDS: [Kind; 37] = [
    Kind::ServerDies,
    Kind::ServerStops,
    Kind::ServerFreezes,
    Kind::AgentDies,
    Kind::AgentFreezes,
    Kind::MachineReboots,
    Kind::MachineLost,
    Kind::ManyLost,
    Kind::RouterDies,
    Kind::RouterFreezes,
    Kind::RouterLeaves,
    Kind::OneWayCut,
    Kind::Cut,
    Kind::FlappingCut,
    Kind::DockerHangs,
    Kind::DockerRestarts,
    Kind::DockerFails,
    Kind::DockerLists,
    Kind::DockerDeaf,
    Kind::NodeDiskFull,
    Kind::RouterDiskFull,
    Kind::StoreDown,
    Kind::StoreHangs,
    Kind::StoreSlow,
    Kind::StoreLosesTail,
    Kind::RedisFlushed,
    Kind::RedisEmptied,
    Kind::RedisHalf,
    Kind::RedisJunk,
    Kind::RedisFrozen,
    Kind::ContainerCrashes,
    Kind::ContainerSick,
    Kind::ContainerRemoved,
    Kind::AllServersDark,
    Kind::ServerDiesActing,
    Kind::AgentDiesActing,
    Kind::RouterDiesWriting,
];

impl World {
    pub(super) fn fault(&mut self) {
        let every = self.k.setting.faults.every;
        if self.k.calm || every == 0 {
            return;
        }
        let pause = self.k.between(every / 5, every * 2);
        self.k.after(pause, Event::Fault);
        let at = self.k.rng.usize(..KINDS.len());
        if self.k.setting.faults.kinds >> at & 1 == 1 {
            let kind = KINDS[at];
            crate::say!(self.k, "fault", "{kind:?}");
            self.strike(kind);
        }
    }

    fn strike(&mut self, kind: Kind) {
        self.watch.struck = self.k.now;
        let (s, n, r) = (
            self.k.rng.usize(..self.servers.len()),
            self.k.rng.usize(..self.nodes.len()),
            self.k.rng.usize(..self.routers.len()),
        );
        match kind {
            Kind::ServerDies => self.ends(Place::Server(s)),
            Kind::ServerStops if self.servers[s].up => {
                if let Some(fence) = self.servers[s].acting(self.k.now).cloned().filter(|_| self.store_answers(s)) {
                    self.store.release(&fence);
                }
                self.ends(Place::Server(s));
            }
            Kind::ServerDiesActing => self.servers[s].doomed = true,
            Kind::AgentDiesActing => self.nodes[n].doomed = true,
            Kind::RouterDiesWriting => self.routers[r].doomed = true,
            Kind::AllServersDark => {
                (0..self.servers.len()).for_each(|s| self.kill_server(s));
                self.mend_after(20 * SECOND, 6 * MINUTE, Mend::Dark);
            }
            Kind::ServerFreezes => self.freeze(Place::Server(s), 12 * SECOND),
            Kind::AgentDies => self.ends(Place::Node(n)),
            Kind::AgentFreezes => self.freeze(Place::Node(n), 30 * SECOND),
            Kind::MachineReboots => self.lose_machine(n, 40 * SECOND),
            Kind::MachineLost => self.lose_machine(n, 6 * MINUTE),
            Kind::ManyLost => (0..self.nodes.len()).filter(|n| n % 3 != 2).for_each(|n| self.cut_node(n)),
            Kind::RouterDies => self.ends(Place::Router(r)),
            Kind::RouterFreezes => self.freeze(Place::Router(r), 20 * SECOND),
            Kind::RouterLeaves if self.routers[r].up => {
                self.replace_router(r);
                self.mend_after(100, 20 * SECOND, Mend::Router(r));
            }
            Kind::OneWayCut | Kind::Cut | Kind::FlappingCut => self.strike_network(kind, s, n, r),
            Kind::StoreDown | Kind::StoreHangs | Kind::StoreSlow | Kind::StoreLosesTail => self.strike_store(kind),
            Kind::RedisFlushed | Kind::RedisEmptied | Kind::RedisHalf | Kind::RedisJunk | Kind::RedisFrozen => {
                self.strike_redis(kind);
            }
            Kind::ContainerCrashes | Kind::ContainerSick | Kind::ContainerRemoved => self.strike_container(kind, n),
            Kind::RouterDiskFull => {
                self.routers[r].disk_full = true;
                self.mend_after(SECOND, 60 * SECOND, Mend::RouterDisk(r));
            }
            _ => self.strike_node(kind, n),
        }
    }

    /// A process ends, and starts again after a while.
    pub(super) fn ends(&mut self, place: Place) {
        self.watch.struck = self.k.now;
        match place {
            Place::Server(s) if self.servers[s].up => {
                self.kill_server(s);
                self.mend_after(200, 20 * SECOND, Mend::Server(s));
            }
            Place::Node(n) if self.nodes[n].up => {
                self.kill_agent(n);
                self.mend_after(100, 40 * SECOND, Mend::Agent(n));
            }
            Place::Router(r) if self.routers[r].up => {
                self.kill_router(r);
                self.mend_after(100, 60 * SECOND, Mend::Router(r));
            }
            Place::Server(_) | Place::Node(_) | Place::Router(_) | Place::Store | Place::Redis => {}
        }
    }

    fn strike_node(&mut self, kind: Kind, n: usize) {
        match kind {
            Kind::DockerHangs => {
                self.docker[n].hung = true;
                self.mend_after(SECOND, 90 * SECOND, Mend::Docker(n));
            }
            Kind::DockerRestarts => {
                self.end_all(n);
                self.docker[n].down = true;
                self.engines[n] += 1;
                self.mend_after(500, 10 * SECOND, Mend::Docker(n));
            }
            Kind::DockerFails | Kind::DockerLists | Kind::DockerDeaf => {
                let docker = &mut self.docker[n];
                match kind {
                    Kind::DockerFails => docker.flaky_permille = 300,
                    Kind::DockerLists => docker.lists_permille = 500,
                    _ => docker.deaf = true,
                }
                self.mend_after(5 * SECOND, 60 * SECOND, Mend::DockerCalls(n));
            }
            Kind::NodeDiskFull => {
                self.disks[n].full = true;
                self.mend_after(SECOND, 60 * SECOND, Mend::NodeDisk(n));
            }
            _ => {}
        }
    }

    fn strike_network(&mut self, kind: Kind, s: usize, n: usize, r: usize) {
        let ways = [
            (Place::Server(s), Place::Node(n)),
            (Place::Server(s), Place::Store),
            (Place::Server(s), Place::Redis),
            (Place::Router(r), Place::Redis),
        ];
        let (one, other) = ways[self.k.rng.usize(..ways.len())];
        let (one, other) = if self.k.rng.bool() { (one, other) } else { (other, one) };
        let flaps = if kind == Kind::FlappingCut { self.k.rng.u32(2..12) } else { 0 };
        self.cut(one, other, flaps);
        if kind != Kind::OneWayCut {
            self.cut(other, one, flaps);
        }
    }

    fn cut(&mut self, from: Place, to: Place, flaps: u32) {
        self.k.net.cut(from, to);
        let most = if flaps > 0 { 5 * SECOND } else { 60 * SECOND };
        let mend = if flaps > 0 { Mend::Flap(from, to, flaps) } else { Mend::Cut(from, to) };
        self.mend_after(200, most, mend);
    }

    fn cut_node(&mut self, n: usize) {
        for s in 0..self.servers.len() {
            self.cut(Place::Server(s), Place::Node(n), 0);
            self.cut(Place::Node(n), Place::Server(s), 0);
        }
    }

    fn strike_store(&mut self, kind: Kind) {
        match kind {
            Kind::StoreDown => self.store.down = true,
            Kind::StoreHangs => self.store.hung = true,
            Kind::StoreSlow => self.store.slow = self.k.between(100, 2_500),
            // One server alone on its own disk has no replica that could take over.
            _ if self.servers[0].sole => return,
            _ => {
                self.store.fall_behind();
                // The leader may have been on the machine that is lost.
                let leader = (0..self.servers.len()).find(|s| self.servers[*s].acting(self.k.now).is_some());
                if let Some(leader) = leader.filter(|_| self.k.chance(500)) {
                    self.kill_server(leader);
                    self.mend_after(200, 3 * SECOND, Mend::Server(leader));
                }
                return self.mend_after(100, 8 * SECOND, Mend::StoreLosesTail);
            }
        }
        self.mend_after(500, 40 * SECOND, Mend::Store);
    }

    fn strike_redis(&mut self, kind: Kind) {
        self.redis_is_hurt();
        match kind {
            Kind::RedisFlushed => self.redis.flush(),
            Kind::RedisEmptied => self.redis.routes.clear(),
            Kind::RedisHalf => {
                let drop_it = |rng: &mut fastrand::Rng| rng.bool();
                let rng = &mut self.k.rng;
                self.redis.routes.retain(|_, _| !drop_it(rng));
            }
            Kind::RedisJunk => {
                self.redis.junk = self.k.rng.bool();
                if self.k.rng.bool() {
                    self.redis.cert = CertKey::Junk;
                }
            }
            _ => {
                self.redis.frozen = true;
                self.mend_after(500, 30 * SECOND, Mend::Redis);
            }
        }
    }

    fn strike_container(&mut self, kind: Kind, n: usize) {
        let ours: Vec<String> =
            self.docker[n].boxes.values().filter(|found| found.of.is_some()).map(|found| found.id.clone()).collect();
        if ours.is_empty() {
            return;
        }
        let id = ours[self.k.rng.usize(..ours.len())].clone();
        match kind {
            Kind::ContainerCrashes => self.end_container(n, &id, 139),
            Kind::ContainerSick => {
                let until = self.k.now + self.k.between(SECOND, 40 * SECOND);
                if let Some(found) = self.docker[n].boxes.get_mut(&id) {
                    (found.sick_from, found.sick_until) = (self.k.now, until);
                }
            }
            _ => {
                // Somebody types `docker rm -f`.
                self.end_container(n, &id, 137);
                if let (_, Some(news)) = self.docker[n].remove(&id) {
                    self.tell_news(n, news);
                }
            }
        }
    }

    fn freeze(&mut self, place: Place, most: Ms) {
        let (now, lasts) = (self.k.now, self.k.between(200, most));
        let stands = if self.k.setting.faults.clocks && self.k.rng.bool() { lasts } else { 0 };
        match place {
            Place::Server(s) if self.servers[s].frozen_until <= now => self.servers[s].frozen_until = now + lasts,
            Place::Node(n) if self.nodes[n].frozen_until <= now => self.nodes[n].frozen_until = now + lasts,
            Place::Router(r) if self.routers[r].frozen_until <= now => self.routers[r].frozen_until = now + lasts,
            _ => return,
        }
        crate::say!(self.k, "fault", "{place:?} stands still for {lasts} ms");
        self.k.after(lasts, Event::Mend(Mend::Thaw(place, stands)));
    }

    /// The machine loses power: its containers have ended when it comes back.
    fn lose_machine(&mut self, n: usize, most: Ms) {
        if !self.nodes[n].up {
            return;
        }
        self.kill_agent(n);
        self.end_all(n);
        self.docker[n].down = true;
        self.engines[n] += 1;
        self.mend_after(5 * SECOND, most, Mend::Machine(n));
    }

    fn end_all(&mut self, n: usize) {
        let running: Vec<String> = self.docker[n]
            .boxes
            .values()
            .filter(|found| found.runs() && found.of.is_some())
            .map(|found| found.id.clone())
            .collect();
        for id in running {
            self.end_container(n, &id, 137);
        }
    }

    pub(super) fn mend_after(&mut self, least: Ms, most: Ms, mend: Mend) {
        let delay = self.k.between(least, most);
        self.k.after(delay, Event::Mend(mend));
    }
}
