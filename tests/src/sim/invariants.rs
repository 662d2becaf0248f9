//! The promises of the design as code, checked at every step by what is, not by what anybody thinks.
//!
//! Each check looks only at what the step touched. The first broken promise ends the run.

mod balance;
mod decisions;
mod engine;
mod lease;
mod order;
mod places;
mod progress;
mod redis;
mod rest;
mod routes;
mod starts;
mod strength;

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::fence::Fence;
use dinp_common::instance::{InstanceId, Want};
use dinp_common::name::{AppName, NodeName, RouterId};
use dinp_common::release::{ReleaseNo, RunSpec};
use dinp_common::route::{TableCert, TableVersion};
use dinp_planner::promises::Breach;

use super::agent::CHANGE_DEADLINE;
use super::docker::Vessel;
use super::kernel::{Ms, SECOND};
use super::names;
use super::net::Place;
use super::world::World;

pub use engine::Later;

/// By how much what a leader knows may lag behind what is, beyond its own patience: three failed probes, a slow commit.
const LAG: Ms = 15 * SECOND;
/// How long a router may take from new routes to its word about them.
const ROUTER_LAG: Ms = 4 * SECOND;
/// How long a decision about a container that crashed may be on its way: its agent may have started it again, and wait
/// for the answer of its Docker.
const RESTART_LAG: Ms = CHANGE_DEADLINE + LAG;

/// What has to be remembered to judge the next step.
#[derive(Default)]
pub struct Watch {
    pub violation: Option<Breach>,
    /// When commits were last lost with their master.
    tail_lost: Option<Ms>,
    pub calm_since: Ms,
    /// When a fault last struck.
    pub struck: Ms,
    placed: BTreeMap<InstanceId, Placed>,
    /// When it was decided that an instance leaves the routes, and that it is stopped.
    drained: BTreeMap<InstanceId, Ms>,
    stopped: BTreeMap<InstanceId, Ms>,
    terminated: BTreeMap<InstanceId, Ms>,
    /// When an instance that is no more last served.
    served: BTreeMap<InstanceId, Ms>,
    accepted: BTreeMap<usize, Fence>,
    /// When each server last took the lease.
    led: BTreeMap<usize, Ms>,
    /// Instances that an agent has been told to stop, in one of its lives.
    told_to_stop: BTreeSet<(usize, u32, InstanceId)>,
    /// Since when nothing ails the database, and Redis.
    pub store_well_since: Ms,
    pub redis_well_since: Ms,
    /// When somebody last laid hands on what Redis holds.
    redis_hurt: Ms,
    /// The highest fence that Redis has taken since.
    redis_highest: Option<Fence>,
    /// Looks in a row at which an app lacked something that nothing stood in the way of.
    lacking: BTreeMap<AppName, u32>,
    /// When each router was recorded, before which nobody waits for it.
    recorded: BTreeMap<RouterId, Ms>,
    /// Instances whose records have gone once.
    forgotten: BTreeSet<InstanceId>,
    /// Those that a database which lost its tail has brought back.
    resurrected: BTreeSet<InstanceId>,
    confirmed: BTreeMap<RouterId, TableVersion>,
    applied: BTreeMap<usize, (u32, TableVersion)>,
    /// By epoch, holder and version.
    certs: BTreeMap<(u64, String, u64), TableCert>,
    crashes: BTreeMap<AppName, decisions::Crashes>,
    /// Instances of which the end is counted there.
    crashed: BTreeSet<InstanceId>,
    taken_back: BTreeMap<AppName, starts::TakenBack>,
    /// For which rebalance each successor was started, and the rebalances that people have cancelled.
    successors: BTreeMap<InstanceId, u64>,
    called_off: BTreeSet<u64>,
    /// Changes that were more than the passing of time.
    moves: u64,
    /// Since when nothing is left to do, and how many moves there were by then.
    rest: Option<(Ms, u64)>,
    pub counts: Counts,
}

/// What a run has seen, for the summary.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub commits: u64,
    pub deploys: u64,
    pub visits: u64,
    pub rest_ms: Ms,
}

#[derive(Debug, Clone)]
struct Placed {
    app: AppName,
    release: ReleaseNo,
    /// As it was when it was placed: should its app be deleted and made anew, a late order still makes what was meant.
    spec: Option<RunSpec>,
    node: NodeName,
    sequence: u64,
    at: Ms,
}

impl Watch {
    /// Only the first one counts: what follows may follow from it.
    fn broken(&mut self, promise: &'static str, what: String) {
        self.violation.get_or_insert(Breach { promise, what });
    }
}

impl World {
    fn broken(&mut self, promise: &'static str, what: String) {
        crate::say!(self.k, "BROKEN", "{promise}: {what}");
        self.watch.broken(promise, what);
    }

    fn judge(&mut self, judged: Result<(), Breach>) {
        if let Err(Breach { promise, what }) = judged {
            self.broken(promise, what);
        }
    }

    /// The container of an instance, wherever it should be.
    fn vessel(&self, instance: &InstanceId, node: &NodeName) -> Option<&Vessel> {
        self.docker[names::number(node.as_str())].of(instance)
    }

    /// It serves, or did until a moment ago.
    fn served_lately(&self, instance: &InstanceId, node: &NodeName, within: Ms) -> bool {
        let now = self.k.now;
        let lately = |at: Ms| at + within >= now;
        let before = self.watch.served.get(instance).is_some_and(|at| lately(*at));
        match self.vessel(instance, node) {
            Some(found) if found.serves(now, self.k.calm) => true,
            Some(found) if found.runs() => {
                let was_well = found.healthy_since(false).is_some_and(|since| since < found.sick_from);
                before || (found.sick_until > now && lately(found.sick_from) && was_well)
            }
            _ => before,
        }
    }

    /// It serves, and has for so long.
    fn serves_steadily(&self, instance: &InstanceId, node: &NodeName, for_ms: Ms) -> bool {
        let (now, calm) = (self.k.now, self.k.calm);
        self.vessel(instance, node).is_some_and(|found| {
            let since = found.healthy_since(calm).unwrap_or(Ms::MAX).max(found.sick_until);
            found.serves(now, calm) && since.saturating_add(for_ms) <= now
        })
    }

    /// Nothing has ailed the node, its Docker, or its way to this server, for so long.
    fn node_is_well(&self, n: usize, s: usize, for_ms: Ms) -> bool {
        let docker = &self.docker[n];
        let quiet = docker.answers() && !docker.deaf && docker.flaky_permille == 0 && !self.disks[n].full;
        quiet && self.node_is_heard(n, s, for_ms)
    }

    /// Its agent could tell this server all that time how its instances are. Docker is not needed for that.
    fn node_is_heard(&self, n: usize, s: usize, for_ms: Ms) -> bool {
        let (agent, server) = (&self.nodes[n], &self.servers[s]);
        let since = agent.well_since.max(agent.frozen_until).max(server.frozen_until).max(server.well_since);
        let open = self.k.net.is_open(Place::Server(s), Place::Node(n));
        agent.up && open && server.up && since + for_ms <= self.k.now
    }

    /// Nothing has ailed the router, or its way to Redis, for so long.
    fn router_is_well(&self, r: usize, for_ms: Ms) -> bool {
        let router = &self.routers[r];
        let since = router.well_since.max(router.frozen_until);
        router.up && !router.disk_full && self.reaches_redis(r) && since + for_ms <= self.k.now
    }

    /// Routers that a leader must wait for.
    fn well_routers(&self) -> impl Iterator<Item = usize> + '_ {
        let patience = self.k.setting.policy.router_silent_after_ms + ROUTER_LAG;
        (0..self.routers.len()).filter(move |r| {
            let recorded = self.watch.recorded.get(&self.routers[*r].id);
            recorded.is_some_and(|at| at + patience <= self.k.now) && self.router_is_well(*r, patience)
        })
    }

    /// What was committed last has been lost with its master, and whoever leads does not know it.
    pub fn watch_tail_lost(&mut self) {
        self.watch.tail_lost = Some(self.k.now);
        self.watch.crashes.clear();
        self.watch.called_off.clear(); // Its number may be given once more.
        let decided = |id: &InstanceId| self.watch.stopped.contains_key(id) || self.watch.forgotten.contains(id);
        let recorded = self.store.tables.instances.iter().filter(|instance| instance.want != Want::Stop);
        let back: Vec<InstanceId> = recorded.map(|instance| instance.id.clone()).filter(decided).collect();
        self.watch.resurrected.extend(back);
    }

    /// A process ends.
    pub fn watch_dies(&mut self, place: Place) {
        if self.watch.struck != self.k.now {
            self.broken("10 (nothing that is read ends a process)", format!("{place:?} ends, and nobody has ended it"));
        }
    }

    pub(super) fn watch_recorded(&mut self, router: &RouterId) {
        self.watch.recorded.entry(router.clone()).or_insert(self.k.now);
    }

    /// What was decided about it was once lost with a master, so that somebody led who did not know of it.
    fn is_resurrected(&self, instance: &InstanceId) -> bool {
        self.watch.resurrected.contains(instance)
    }

    /// It was brought back like that, and whoever leads by what is left may not have heard yet where it is, or not have
    /// told this router.
    fn is_misplaced(&self, instance: &InstanceId, r: Option<usize>) -> bool {
        let patience = self.k.setting.policy.lost_after_ms + LAG;
        let heard = || {
            let node = self.watch.placed.get(instance).map(|placed| names::number(placed.node.as_str()));
            let leader =
                self.steady_leader(patience).filter(|_| self.watch.tail_lost.is_some_and(|at| at + patience <= self.k.now));
            node.zip(leader).is_some_and(|(n, s)| self.node_is_well(n, s, patience))
        };
        self.is_resurrected(instance) && !(heard() && r.is_none_or(|r| self.router_is_well(r, patience)))
    }

    /// Its agent has been told to stop it, in its present life: it goes on with that, whatever a leader of a database that
    /// has lost its tail wants of it.
    fn is_being_stopped(&self, n: usize, instance: &InstanceId) -> bool {
        self.watch.told_to_stop.contains(&(n, self.nodes[n].life, instance.clone()))
    }

    /// Its agent has just started it again by itself, which whoever decides about it may not have heard yet.
    fn is_restarted(&self, found: &Vessel) -> bool {
        found.run > 1 && found.started + RESTART_LAG > self.k.now
    }

    fn routes_to(&self, r: usize, app: &AppName, instance: &InstanceId) -> bool {
        let Some(table) = self.routers[r].applier.table() else { return false };
        let Ok(host) = dinp_common::name::Host::parse(&format!("{app}.{}", names::domain())) else { return false };
        table.get(&host).is_some_and(|route| route.endpoints.iter().any(|endpoint| endpoint.instance == *instance))
    }
}
