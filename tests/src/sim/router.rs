//! A router: its table, its disk and its requests in flight, around the real table code.

use std::collections::BTreeMap;
use std::rc::Rc;

use dinp_common::instance::InstanceId;
use dinp_common::name::RouterId;
use dinp_common::route::{RouteUpdate, RouterStatus, TableCert, TableVersion};
use dinp_planner::table::{Applier, SetHash, TableRefusal};

use super::event::{Event, RouterEvent, ServerEvent};
use super::faults::Mend;
use super::kernel::Ms;
use super::names;
use super::net::Place;
use super::planted::Planted;
use super::redis::CertKey;
use super::world::World;

const POLL_EVERY: Ms = 500;
const REPORT_EVERY: Ms = 800;
const DISK_RETRY: Ms = 1_000;
/// Of a thousand visits, those that take long.
const LONG_PERMILLE: u32 = 250;

pub struct Router {
    pub index: usize,
    pub id: RouterId,
    pub life: u32,
    pub up: bool,
    /// It ends at the next moment at which that hurts most.
    pub doomed: bool,
    pub frozen_until: Ms,
    busy_until: Ms,
    pub applier: Applier,
    /// The last good table, kept through restarts.
    pub disk: Option<Rc<RouteUpdate>>,
    pub disk_full: bool,
    pub confirmed: Option<TableVersion>,
    /// Who published it.
    pub holder: Option<String>,
    unkept: bool,
    pub in_flight: BTreeMap<InstanceId, u32>,
    report: u64,
    /// Since when nothing ails it.
    pub well_since: Ms,
}

impl Router {
    pub fn new(index: usize) -> Self {
        Self {
            index,
            id: names::router(index as u64),
            life: 0,
            up: false,
            doomed: false,
            frozen_until: 0,
            busy_until: 0,
            applier: Applier::default(),
            disk: None,
            disk_full: false,
            confirmed: None,
            holder: None,
            unkept: false,
            in_flight: BTreeMap::new(),
            report: 0,
            well_since: 0,
        }
    }

    fn full(&self) -> Option<Rc<RouteUpdate>> {
        let (cert, table) = (self.applier.cert()?, self.applier.table()?);
        Some(Rc::new(RouteUpdate::Full { cert: cert.clone(), routes: table.values().cloned().collect() }))
    }
}

impl World {
    pub fn start_router(&mut self, r: usize) {
        let old = &self.routers[r];
        let (id, disk, disk_full, life) = (old.id.clone(), old.disk.clone(), old.disk_full, old.life + 1);
        self.routers[r] = Router { id, disk, disk_full, life, up: true, well_since: self.k.now, ..Router::new(r) };
        crate::say!(self.k, self.routers[r], "starts");
        if let Some(table) = self.routers[r].disk.clone()
            && !self.k.is_planted(Planted::TableNotRead)
            && self.routers[r].applier.apply(&table).is_ok()
        {
            self.watch_table(r);
            self.confirm(r);
        }
        self.watch_router_starts(r);
        self.k.after(1, Event::Router(r, life, RouterEvent::Poll));
        self.k.after(200, Event::Router(r, life, RouterEvent::Visit));
        self.report_after(r, 1);
    }

    /// It ends between two steps; its requests end with it.
    pub fn kill_router(&mut self, r: usize) {
        self.watch_dies(Place::Router(r));
        let router = &mut self.routers[r];
        router.up = false;
        router.in_flight.clear();
        crate::say!(self.k, self.routers[r], "dies");
    }

    /// It leaves for good, and another one comes in its place.
    pub fn replace_router(&mut self, r: usize) {
        let fresh = self.k.fresh();
        self.kill_router(r);
        let id = self.routers[r].id.clone();
        self.routers[r].disk = None;
        self.redis.statuses.remove(&id);
        // Should nobody hear it, somebody strikes the router off in the end.
        let patience = self.k.between(10_000, 90_000);
        self.k.after(patience, Event::Mend(Mend::RouterForgotten(id.clone())));
        crate::say!(self.k, self.routers[r], "says goodbye as {id}");
        for s in 0..self.servers.len() {
            let life = self.servers[s].life;
            let delay = self.k.between(0, 20);
            if self.servers[s].up {
                self.k.after(delay, Event::Server(s, life, ServerEvent::Goodbye(id.clone())));
            }
        }
        self.routers[r].id = names::router(fresh);
    }

    pub fn router_event(&mut self, r: usize, event: RouterEvent) {
        match event {
            RouterEvent::Poll => self.poll(r),
            RouterEvent::Offer { update, read } => self.offer(r, update, read),
            RouterEvent::Kept => self.kept(r),
            RouterEvent::Dies => self.ends(Place::Router(r)),
            RouterEvent::Report(report) => {
                if self.routers[r].report == report {
                    self.report_status(r);
                }
            }
            RouterEvent::Visit => self.visit(r),
            RouterEvent::FlightEnds(instance) => self.flight_ends(r, &instance),
        }
    }

    pub fn reaches_redis(&self, r: usize) -> bool {
        !self.redis.frozen && self.k.net.is_open(Place::Router(r), Place::Redis)
    }

    /// A change goes to all routers that follow.
    pub(super) fn announce(&mut self, update: &Rc<RouteUpdate>) {
        for r in 0..self.routers.len() {
            if self.routers[r].up && !self.k.net.is_cut(Place::Redis, Place::Router(r)) {
                let (life, delay) = (self.routers[r].life, self.k.between(0, self.k.setting.net.delay_most));
                self.k.after(delay, Event::Router(r, life, RouterEvent::Offer { update: update.clone(), read: false }));
            }
        }
    }

    fn poll(&mut self, r: usize) {
        let life = self.routers[r].life;
        self.k.after(POLL_EVERY, Event::Router(r, life, RouterEvent::Poll));
        if self.reaches_redis(r)
            && self.survives_reading(r)
            && let CertKey::Cert(cert) = &self.redis.cert
            && self.routers[r].confirmed != Some(cert.at())
        {
            self.load_table(r);
        }
    }

    fn load_table(&mut self, r: usize) {
        if !self.reaches_redis(r) || !self.survives_reading(r) {
            return;
        }
        let Some(table) = self.redis.table() else { return };
        let (life, delay) = (self.routers[r].life, self.k.between(0, self.k.setting.net.delay_most));
        self.k.after(delay, Event::Router(r, life, RouterEvent::Offer { update: Rc::new(table), read: true }));
    }

    /// A change as it was announced, or the whole table as it was `read`. One that does not fit asks for the whole table; a
    /// whole one that cannot be taken waits for the next look at the certificate.
    fn offer(&mut self, r: usize, update: Rc<RouteUpdate>, read: bool) {
        let (now, life, busy_until) = (self.k.now, self.routers[r].life, self.routers[r].busy_until);
        if busy_until > now {
            self.k.at(busy_until, Event::Router(r, life, RouterEvent::Offer { update, read }));
        } else if self.takes(r, &update).is_err() && !read {
            self.load_table(r);
        }
    }

    /// Takes an update, or has it already; an error is one that a whole table would help against.
    fn takes(&mut self, r: usize, update: &RouteUpdate) -> Result<(), TableRefusal> {
        let (now, life) = (self.k.now, self.routers[r].life);
        let outcome = if self.k.is_planted(Planted::TableUncertified) {
            self.apply_unchecked(r, update)
        } else {
            self.routers[r].applier.apply(update)
        };
        match outcome {
            Ok(false) | Err(TableRefusal::NotNewer { .. } | TableRefusal::Fence(_)) => return Ok(()),
            Err(refusal) => return Err(refusal),
            Ok(true) => {}
        }
        self.watch_table(r);
        if self.k.is_planted(Planted::ConfirmBeforeKept) {
            self.confirm(r);
        }
        let delay = if self.k.fault(20) { self.k.between(50, 2_000) } else { self.k.between(1, 12) };
        self.routers[r].busy_until = now + delay;
        if std::mem::take(&mut self.routers[r].doomed) {
            self.k.after(delay / 2, Event::Router(r, life, RouterEvent::Dies));
        }
        self.k.after(delay, Event::Router(r, life, RouterEvent::Kept));
        Ok(())
    }

    /// Takes what it gets, and writes the certificate for it itself.
    fn apply_unchecked(&mut self, r: usize, update: &RouteUpdate) -> Result<bool, TableRefusal> {
        let applier = &mut self.routers[r].applier;
        match (applier.apply(update), update) {
            (Err(TableRefusal::Uncertified { .. }), RouteUpdate::Full { cert, routes }) => {
                let (count, hash) = (routes.len() as u64, SetHash::of(routes).to_hex());
                let cert = TableCert { count, hash, ..cert.clone() };
                applier.apply(&RouteUpdate::Full { cert, routes: routes.clone() })
            }
            (outcome, _) => outcome,
        }
    }

    fn kept(&mut self, r: usize) {
        let life = self.routers[r].life;
        if self.routers[r].disk_full {
            // The old table can be removed, or not even that.
            if self.k.chance(500) {
                self.routers[r].disk = None;
            } else {
                self.routers[r].unkept = true;
                return self.k.after(DISK_RETRY, Event::Router(r, life, RouterEvent::Kept));
            }
        } else {
            self.routers[r].disk = self.routers[r].full();
        }
        self.routers[r].unkept = false;
        self.confirm(r);
    }

    fn confirm(&mut self, r: usize) {
        let router = &mut self.routers[r];
        router.confirmed = router.applier.at();
        router.holder = router.applier.cert().map(|cert| cert.fence.holder.clone());
        if let Some(at) = self.routers[r].confirmed {
            self.watch_confirmed(r, at);
        }
        crate::say!(self.k, self.routers[r], "confirms {:?}", self.routers[r].confirmed);
        self.report_after(r, 0);
    }

    fn report_after(&mut self, r: usize, delay: Ms) {
        let router = &mut self.routers[r];
        router.report += 1;
        let event = Event::Router(r, router.life, RouterEvent::Report(router.report));
        self.k.after(delay, event);
    }

    fn report_status(&mut self, r: usize) {
        self.report_after(r, REPORT_EVERY);
        if !self.reaches_redis(r) {
            return;
        }
        let router = &self.routers[r];
        let (confirmed, holder) = (router.confirmed, router.holder.clone());
        let status = RouterStatus { router: router.id.clone(), confirmed, holder, in_flight: router.in_flight.clone() };
        self.redis.statuses.insert(status.router.clone(), (status.clone(), self.k.now));
        for s in 0..self.servers.len() {
            if self.servers[s].up {
                let life = self.servers[s].life;
                self.k.send(Place::Redis, Place::Server(s), Event::Server(s, life, ServerEvent::Status(status.clone())));
            }
        }
    }

    /// Somebody asks for an app through this router.
    fn visit(&mut self, r: usize) {
        let life = self.routers[r].life;
        let pause = self.k.between(300, 1_500);
        self.k.after(pause, Event::Router(r, life, RouterEvent::Visit));
        if self.redis.frozen && self.k.is_planted(Planted::StalledRedisStalls) {
            return self.watch_unanswered(r);
        }
        let Some(table) = self.routers[r].applier.table() else { return self.watch_unanswered(r) };
        if table.is_empty() {
            return;
        }
        let route = table.values().nth(self.k.rng.usize(..table.len()));
        let Some(endpoints) = route.map(|route| &route.endpoints).filter(|endpoints| !endpoints.is_empty()) else { return };
        let endpoint = endpoints[self.k.rng.usize(..endpoints.len())].clone();
        self.watch_visit(r, &endpoint);
        if self.k.chance(LONG_PERMILLE) {
            *self.routers[r].in_flight.entry(endpoint.instance.clone()).or_default() += 1;
            let lasts = self.k.between(200, 30_000);
            self.k.after(lasts, Event::Router(r, life, RouterEvent::FlightEnds(endpoint.instance)));
        }
    }

    fn flight_ends(&mut self, r: usize, instance: &InstanceId) {
        let router = &mut self.routers[r];
        let Some(count) = router.in_flight.get_mut(instance) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        router.in_flight.remove(instance);
        let routed = router.applier.table().is_some_and(|table| {
            table.values().flat_map(|route| &route.endpoints).any(|endpoint| endpoint.instance == *instance)
        });
        if !routed {
            self.report_after(r, 0);
        }
    }
}

impl std::fmt::Display for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("router{}", self.index))
    }
}
