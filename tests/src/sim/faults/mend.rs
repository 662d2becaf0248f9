//! How what went wrong ends, and how all of it does.

use dinp_common::name::RouterId;
use dinp_common::node::NodeUse;

use crate::sim::event::Event;
use crate::sim::kernel::{MINUTE, Ms, SECOND};
use crate::sim::names;
use crate::sim::net::Place;
use crate::sim::store::hold::Hold;
use crate::sim::world::World;

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

impl World {
    pub(in crate::sim) fn mend(&mut self, mend: Mend) {
        match &mend {
            Mend::Agent(n) | Mend::Docker(n) | Mend::DockerCalls(n) | Mend::Machine(n) | Mend::NodeDisk(n) => {
                self.recovered(Place::Node(*n));
            }
            Mend::Server(s) => self.recovered(Place::Server(*s)),
            Mend::Router(r) | Mend::RouterDisk(r) => self.recovered(Place::Router(*r)),
            Mend::Thaw(place, _) => self.recovered(*place),
            Mend::Redis => self.recovered(Place::Redis),
            Mend::Store | Mend::StoreLosesTail => self.recovered(Place::Store),
            Mend::Cut(..) | Mend::Flap(..) | Mend::Recut(..) | Mend::Dark | Mend::RouterForgotten(_) => {}
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
                self.nodes[n].well_since = self.k.now;
                if self.nodes[n].up {
                    (self.docker[n].hung, self.docker[n].down) = (false, false);
                } else {
                    self.docker[n].hung = false;
                }
            }
            Mend::DockerCalls(n) => {
                self.nodes[n].well_since = self.k.now;
                let docker = &mut self.docker[n];
                (docker.flaky_permille, docker.lists_permille, docker.deaf) = (0, 0, false);
            }
            Mend::Machine(n) => {
                self.nodes[n].well_since = self.k.now;
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
                let careful = self.k.rng.bool();
                self.store.fail_over(careful);
                self.watch_tail_lost();
            }
            Mend::RouterForgotten(id) => self.store.forget_router(&id),
            Mend::Redis => (self.redis.frozen, self.watch.redis_well_since) = (false, self.k.now),
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
            Place::Redis => {
                self.watch.redis_well_since = now;
                self.routers.iter_mut().for_each(|router| router.well_since = now);
            }
            Place::Store => self.watch.store_well_since = now,
        }
    }

    /// Everything that is broken is mended, and nobody wants anything new. Who stands still goes on when his time comes.
    pub(in crate::sim) fn calm(&mut self) {
        crate::say!(self.k, "fault", "no more");
        self.k.calm = true;
        self.k.net.mend_all();
        self.store.mend();
        self.redis.frozen = false;
        for n in 0..self.nodes.len() {
            self.disks[n].full = false;
            self.nodes[n].doomed = false;
            let docker = &mut self.docker[n];
            (docker.hung, docker.down, docker.deaf) = (false, false, false);
            (docker.flaky_permille, docker.lists_permille) = (0, 0);
            self.store.node_use(&names::node(n), NodeUse::Open);
            if !self.nodes[n].up {
                self.start_agent(n);
            }
        }
        for s in 0..self.servers.len() {
            self.servers[s].doomed = false;
            if !self.servers[s].up {
                self.start_server(s);
            }
        }
        for r in 0..self.routers.len() {
            (self.routers[r].disk_full, self.routers[r].doomed) = (false, false);
            if !self.routers[r].up {
                self.start_router(r);
            }
        }
        let paused: Vec<_> = self.store.tables.deploys.iter().map(|deploy| (deploy.app.clone(), deploy.number)).collect();
        for (app, number) in paused {
            self.store.hold(&app, number, Hold::Resume);
        }
        // What a lost tail has brought back, somebody strikes off once more.
        let left: Vec<RouterId> = self.store.tables.routers.clone();
        for id in left.iter().filter(|id| self.routers.iter().all(|router| router.id != **id)) {
            self.store.forget_router(id);
        }
        let places = (0..self.nodes.len()).map(Place::Node).chain((0..self.servers.len()).map(Place::Server));
        let places = places.chain((0..self.routers.len()).map(Place::Router)).chain([Place::Store, Place::Redis]);
        places.collect::<Vec<_>>().into_iter().for_each(|place| self.recovered(place));
        self.watch.calm_since = self.k.now;
        self.k.after(MINUTE, Event::Rest);
    }
}
