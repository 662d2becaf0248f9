//! What goes wrong, and how it ends.

use dinp_common::name::RouterId;
use dinp_common::node::NodeUse;
use dinp_planner::agent::ContainerState;
use dinp_planner::agent::container::{LABEL_APP, LABEL_CLUSTER, LABEL_INSTANCE, LABEL_NODE, LABEL_RELEASE};

use super::event::Event;
use super::kernel::{MINUTE, Ms, SECOND};
use super::names;
use super::net::Place;
use super::redis::CertKey;
use super::store::hold::Hold;
use super::world::World;

/// The end of something that went wrong.
#[derive(Debug, Clone)]
pub enum Mend {
    Server(usize),
    Agent(usize),
    Router(usize),
    /// A frozen process goes on; its clock may have stood still meanwhile.
    Thaw(Place, Ms),
    Cut(Place, Place),
    /// It is cut so many times more.
    Flap(Place, Place, u32),
    Recut(Place, Place, u32),
    /// The daemon answers again.
    Docker(usize),
    DockerCalls(usize),
    /// The whole machine is back.
    Machine(usize),
    NodeDisk(usize),
    RouterDisk(usize),
    Store,
    StoreLosesTail,
    Redis,
    /// An operator strikes off a router that has left.
    RouterForgotten(RouterId),
    /// The servers that are down come back.
    Dark,
}

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
}

const KINDS: [Kind; 34] = [
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
        let (s, n, r) = (
            self.k.rng.usize(..self.servers.len()),
            self.k.rng.usize(..self.nodes.len()),
            self.k.rng.usize(..self.routers.len()),
        );
        match kind {
            Kind::ServerDies if self.servers[s].up => {
                self.kill_server(s);
                self.mend_after(200, 20 * SECOND, Mend::Server(s));
            }
            Kind::ServerStops if self.servers[s].up => {
                if let Some(fence) = self.servers[s].acting(self.k.now).cloned().filter(|_| self.store_answers(s)) {
                    self.store.release(&fence);
                }
                self.kill_server(s);
                self.mend_after(200, 20 * SECOND, Mend::Server(s));
            }
            Kind::AllServersDark => {
                (0..self.servers.len())
                    .filter(|s| self.servers[*s].up)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|s| self.kill_server(s));
                self.mend_after(20 * SECOND, 4 * MINUTE, Mend::Dark);
            }
            Kind::ServerFreezes => self.freeze(Place::Server(s), 12 * SECOND),
            Kind::AgentDies if self.nodes[n].up => {
                self.kill_agent(n);
                self.mend_after(100, 40 * SECOND, Mend::Agent(n));
            }
            Kind::AgentFreezes => self.freeze(Place::Node(n), 30 * SECOND),
            Kind::MachineReboots => self.lose_machine(n, 40 * SECOND),
            Kind::MachineLost => self.lose_machine(n, 6 * MINUTE),
            Kind::ManyLost => (0..self.nodes.len()).filter(|n| n % 3 != 2).for_each(|n| self.cut_node(n)),
            Kind::RouterDies if self.routers[r].up => {
                self.kill_router(r);
                self.mend_after(100, 60 * SECOND, Mend::Router(r));
            }
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
                return self.mend_after(100, 5 * SECOND, Mend::StoreLosesTail);
            }
        }
        self.mend_after(500, 40 * SECOND, Mend::Store);
    }

    fn strike_redis(&mut self, kind: Kind) {
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

    fn mend_after(&mut self, least: Ms, most: Ms, mend: Mend) {
        let delay = self.k.between(least, most);
        self.k.after(delay, Event::Mend(mend));
    }

    pub(super) fn mend(&mut self, mend: Mend) {
        match &mend {
            Mend::Agent(n) | Mend::Docker(n) | Mend::DockerCalls(n) | Mend::Machine(n) | Mend::NodeDisk(n) => {
                self.recovered(Place::Node(*n));
            }
            Mend::Server(s) => self.recovered(Place::Server(*s)),
            Mend::Router(r) | Mend::RouterDisk(r) => self.recovered(Place::Router(*r)),
            Mend::Thaw(place, _) => self.recovered(*place),
            Mend::Redis => self.recovered(Place::Redis),
            Mend::Cut(..)
            | Mend::Flap(..)
            | Mend::Recut(..)
            | Mend::Store
            | Mend::StoreLosesTail
            | Mend::Dark
            | Mend::RouterForgotten(_) => {}
        }
        self.mend_one(mend);
    }

    fn mend_one(&mut self, mend: Mend) {
        match mend {
            Mend::Server(s) if !self.servers[s].up => self.start_server(s),
            Mend::Agent(n) if !self.nodes[n].up && !self.docker[n].down => self.start_agent(n),
            Mend::Router(r) if !self.routers[r].up => self.start_router(r),
            Mend::Thaw(Place::Server(s), stood) => self.servers[s].stood_ms += stood,
            Mend::Cut(from, to) => self.heal(from, to),
            Mend::Flap(from, to, flaps) => {
                self.heal(from, to);
                self.mend_after(200, 3 * SECOND, Mend::Recut(from, to, flaps - 1));
            }
            Mend::Recut(from, to, flaps) => self.recut(from, to, flaps),
            Mend::Docker(n) => {
                if self.nodes[n].up {
                    (self.docker[n].hung, self.docker[n].down) = (false, false);
                } else {
                    self.docker[n].hung = false;
                }
            }
            Mend::DockerCalls(n) => {
                let docker = &mut self.docker[n];
                (docker.flaky_permille, docker.lists_permille, docker.deaf) = (0, 0, false);
            }
            Mend::Machine(n) => {
                (self.docker[n].hung, self.docker[n].down) = (false, false);
                if !self.nodes[n].up {
                    self.start_agent(n);
                }
            }
            Mend::NodeDisk(n) => self.disks[n].full = false,
            Mend::RouterDisk(r) => self.routers[r].disk_full = false,
            Mend::Store => self.store.mend(),
            Mend::StoreLosesTail => {
                crate::say!(self.k, "fault", "the store loses its tail");
                self.watch.tail_lost = Some(self.k.now);
                self.store.fail_over();
            }
            Mend::RouterForgotten(id) => self.store.forget_router(&id),
            Mend::Redis => self.redis.frozen = false,
            Mend::Dark => (0..self.servers.len()).for_each(|s| self.mend(Mend::Server(s))),
            Mend::Server(_) | Mend::Agent(_) | Mend::Router(_) | Mend::Thaw(..) => {}
        }
    }

    fn recut(&mut self, from: Place, to: Place, flaps: u32) {
        if !self.k.calm {
            self.cut(from, to, flaps);
        }
    }

    fn heal(&mut self, from: Place, to: Place) {
        self.k.net.mend(from, to);
        for place in [from, to] {
            self.recovered(place);
        }
    }

    /// From now on nothing ails it, as far as this trouble goes.
    fn recovered(&mut self, place: Place) {
        let now = self.k.now;
        match place {
            Place::Router(r) => self.routers[r].well_since = now,
            Place::Node(n) => self.nodes[n].well_since = now,
            Place::Server(s) => self.servers[s].well_since = now,
            Place::Redis => self.routers.iter_mut().for_each(|router| router.well_since = now),
            Place::Store => {}
        }
    }

    /// Everything that is broken is mended, and nobody wants anything new.
    pub(super) fn calm(&mut self) {
        crate::say!(self.k, "fault", "no more");
        self.k.calm = true;
        self.k.net.mend_all();
        self.store.mend();
        self.redis.frozen = false;
        for n in 0..self.nodes.len() {
            self.disks[n].full = false;
            self.nodes[n].frozen_until = 0;
            let docker = &mut self.docker[n];
            (docker.hung, docker.down, docker.deaf) = (false, false, false);
            (docker.flaky_permille, docker.lists_permille) = (0, 0);
            self.store.node_use(&names::node(n), NodeUse::Open);
            if !self.nodes[n].up {
                self.start_agent(n);
            }
        }
        for s in 0..self.servers.len() {
            self.servers[s].frozen_until = 0;
            if !self.servers[s].up {
                self.start_server(s);
            }
        }
        for r in 0..self.routers.len() {
            (self.routers[r].disk_full, self.routers[r].frozen_until) = (false, 0);
            if !self.routers[r].up {
                self.start_router(r);
            }
        }
        let paused: Vec<_> = self.store.tables.deploys.iter().map(|deploy| (deploy.app.clone(), deploy.number)).collect();
        for (app, number) in paused {
            self.store.hold(&app, number, Hold::Resume);
        }
        self.watch.calm_since = self.k.now;
        self.k.after(MINUTE, Event::Rest);
    }

    /// What is not ours, some of it with our labels on it.
    pub(super) fn add_foreign(&mut self, n: usize) {
        let node = names::node(n).to_string();
        let cluster = names::cluster().to_string();
        let full = |cluster: &str, node: &str| {
            vec![
                (LABEL_CLUSTER, cluster.to_owned()),
                (LABEL_NODE, node.to_owned()),
                (LABEL_APP, "app000".to_owned()),
                (LABEL_INSTANCE, "zzzzzz".to_owned()),
                (LABEL_RELEASE, "v1".to_owned()),
            ]
        };
        self.docker[n].add_foreign("postgres", &[], 0);
        self.docker[n].add_foreign("copied-from-an-image", &full(&cluster, &node), 0);
        self.docker[n].add_foreign("dinp-app000-zzzzzz", &full("other", &node), 0);
        self.docker[n].add_foreign("dinp-app000-zzzzzy", &full(&cluster, "elsewhere"), 0);
        debug_assert!(self.docker[n].boxes.values().all(|found| found.state == ContainerState::Running));
    }
}
