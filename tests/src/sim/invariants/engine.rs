//! What happens to containers: only what was decided and stored, only to what is ours, and only when nobody needs it.

use dinp_common::instance::{InstanceId, Want};
use dinp_common::route::{Endpoint, RouteUpdate};
use dinp_common::wire::{Assignment, Assignments, LEADERLESS_AFTER_MS};

use super::World;
use crate::sim::docker::Call;
use crate::sim::event::Event;
use crate::sim::kernel::{Ms, SECOND};
use crate::sim::world::node_of;

/// By how much a grace may be shorter than promised: a commit whose answer was lost counts its time twice.
const GRACE_SLACK: Ms = 4 * SECOND;
/// After so long without a leader, and the wait that grows from one restart to the next, a crashed container runs again.
const RESTARTED_WITHIN: Ms = LEADERLESS_AFTER_MS + 10 * SECOND;
/// The longest such wait.
const RESTART_MOST: Ms = 60 * SECOND;

/// A look at what became of something.
#[derive(Debug, Clone)]
pub enum Later {
    /// A container that crashed while nobody leads.
    Crashed { node: usize, life: u32, container: String, run: u32 },
    /// Somebody has laid hands on Redis.
    RedisHurt { at: Ms },
    /// Whether what is wanted is under way.
    Progress,
}

impl World {
    /// Before Docker is asked for anything.
    pub fn watch_call(&mut self, instance: &InstanceId, call: &Call) {
        let now = self.k.now;
        match call {
            Call::Terminate(_) => {
                self.watch.terminated.entry(instance.clone()).or_insert(now);
            }
            Call::Kill(_) => {
                let Some(placed) = self.watch.placed.get(instance).cloned() else { return };
                let spec = self.store.tables.releases.get(&(placed.app, placed.release)).map(|release| &release.spec);
                let grace = spec.map_or(0, |spec| Ms::from(spec.stop_grace_seconds) * SECOND);
                let asked = self.watch.terminated.get(instance).copied();
                if asked.is_none_or(|asked| asked + grace > now) {
                    self.broken(
                        "1 (SIGKILL only after the stop grace)",
                        format!("{instance} is sent SIGKILL, SIGTERM {asked:?}"),
                    );
                }
            }
            Call::Create { .. } | Call::Start(_) | Call::Remove(_) => {}
        }
    }

    /// An agent wants to make a container, or to have it run.
    pub fn watch_wants(&mut self, n: usize, instance: &InstanceId) {
        if self.is_being_stopped(n, instance) && !self.is_resurrected(instance) {
            let what = format!("node{n:02} was told to stop {instance} and starts it");
            self.broken("5 (states only move forward)", what);
        }
    }

    pub fn watch_create(&mut self, n: usize, wanted: &Assignment) {
        let id = &wanted.instance;
        match self.watch.placed.get(id) {
            None => self.broken("5 (stored before acted on)", format!("{id} is created and was never stored")),
            Some(placed) => {
                let same = placed.app == wanted.app && placed.release == wanted.release && placed.node == self.nodes[n].name;
                let as_stored = placed.spec.as_ref() == Some(&wanted.spec);
                if !same || !as_stored {
                    let what = format!("{id} is created as {} {}, and was stored as {placed:?}", wanted.app, wanted.release);
                    self.broken("5 (stored before acted on)", what);
                }
            }
        }
        if let Some(other) = (0..self.docker.len()).find(|other| *other != n && self.docker[*other].of(id).is_some()) {
            self.broken("5 (an action is idempotent)", format!("{id} is created on node{n:02} and is on node{other:02}"));
        }
    }

    pub fn watch_start(&mut self, n: usize, id: &str) {
        let Some((of, address)) = self.docker[n].boxes.get(id).and_then(|found| Some((found.of.clone()?, found.address?))) else {
            return self.broken("13 (only ours)", format!("{id} is started and is not ours"));
        };
        for r in 0..self.routers.len() {
            let router = &self.routers[r];
            if !self.store.tables.routers.contains(&router.id) {
                continue;
            }
            let other = |endpoint: &&Endpoint| endpoint.address.ip() == address && endpoint.instance != of.instance;
            let found = match (&router.disk, router.applier.table()) {
                (_, Some(table)) if router.up => table.values().flat_map(|route| &route.endpoints).find(other).cloned(),
                (Some(disk), _) => match &**disk {
                    RouteUpdate::Full { routes, .. } => routes.iter().flat_map(|route| &route.endpoints).find(other).cloned(),
                    RouteUpdate::Delta { .. } => None,
                },
                (None, _) => None,
            };
            if let Some(found) = found.filter(|found| !self.is_misplaced(&found.instance, Some(r))) {
                let what =
                    format!("{} runs at {address}, where router{r} sends what is meant for {}", of.instance, found.instance);
                self.broken("7 (no request reaches the wrong app)", what);
            }
        }
    }

    /// A signal reaches a running container.
    pub fn watch_signal(&mut self, n: usize, id: &str, kill: bool) {
        let Some(found) = self.docker[n].boxes.get(id) else { return };
        let Some(of) = found.of.clone() else {
            return self.broken("13 (only what is ours is touched)", format!("{} is sent a signal", found.name));
        };
        let (now, instance) = (self.k.now, of.instance);
        let serves = found.serves(now, self.k.calm) && !self.is_restarted(found);
        let Some(stopped) = self.watch.stopped.get(&instance).copied() else {
            return self.broken("13 (nothing stops without a stored decision)", format!("{instance} is sent a signal"));
        };
        if !serves || kill || self.is_resurrected(&instance) {
            return;
        }
        let drained = self.watch.drained.get(&instance).copied().unwrap_or(stopped);
        let grace = self.k.setting.policy.drain_grace_ms.saturating_sub(GRACE_SLACK);
        for r in self.well_routers().collect::<Vec<_>>() {
            if self.routes_to(r, &of.app, &instance) {
                let what = format!("{instance} of {} is sent SIGTERM while router{r} sends it requests", of.app);
                self.broken("1 (out of all routes before it stops)", what);
            }
            let carried = self.routers[r].in_flight.get(&instance).copied().unwrap_or(0);
            if carried > 0 && drained + grace > now {
                let what = format!("{instance} is sent SIGTERM {} ms into its drain, with {carried} in flight", now - drained);
                self.broken("1 (it drains before it stops)", what);
            }
        }
    }

    pub fn watch_remove(&mut self, n: usize, id: &str) {
        let Some(found) = self.docker[n].boxes.get(id) else { return };
        match &found.of {
            None => self.broken("13 (only what is ours is touched)", format!("{} is to be removed", found.name)),
            Some(of) if !self.watch.stopped.contains_key(&of.instance) => {
                self.broken("13 (nothing goes without a stored decision)", format!("{} is to be removed", found.name));
            }
            Some(_) => {}
        }
    }

    /// Before a container ends, for whatever reason.
    pub fn watch_ends(&mut self, n: usize, id: &str) {
        let (now, calm) = (self.k.now, self.k.calm);
        let Some(found) = self.docker[n].boxes.get(id) else { return };
        let Some(of) = found.of.clone().filter(|_| found.serves(now, calm) || found.runs()) else { return };
        if found.serves(now, calm) {
            self.watch.served.insert(of.instance.clone(), now);
        }
        if !self.watch.stopped.contains_key(&of.instance) {
            let (container, run, life) = (id.to_owned(), found.run, self.nodes[n].life);
            let later = Later::Crashed { node: n, life, container, run };
            self.k.after(restarted_within(run), Event::Later(later));
        }
    }

    pub fn watch_later(&mut self, later: Later) {
        match later {
            Later::Crashed { node, life, container, run } => self.watch_crashed(node, life, &container, run),
            Later::RedisHurt { at } => self.watch_redis_healed(at),
            Later::Progress => self.watch_progress(),
        }
    }

    fn watch_crashed(&mut self, n: usize, life: u32, container: &str, run: u32) {
        let now = self.k.now;
        let Some(found) = self.docker[n].boxes.get(container).filter(|found| found.run == run && !found.runs()) else { return };
        let Some(instance) = found.of.as_ref().map(|of| of.instance.clone()) else { return };
        let agent = &self.nodes[n];
        let within = restarted_within(run);
        let alone = agent.up && agent.life == life && agent.leaderless_since() + within <= now;
        let usual = self.k.setting.faults.docker_permille + self.docker[n].flaky_permille == 0 && self.docker[n].answers();
        let well = agent.well_since.max(agent.frozen_until) + within <= now && !self.disks[n].full;
        if alone && usual && well && self.is_kept(n, &instance) {
            self.broken("6 (a crash without a leader is restarted in place)", format!("{instance} lies on node{n:02}"));
        }
    }

    /// Its last orders are that the instance runs.
    fn is_kept(&self, n: usize, instance: &InstanceId) -> bool {
        let level = self.disks[n].assignments.as_ref();
        level.is_some_and(|level| level.instances.iter().any(|wanted| wanted.instance == *instance && wanted.want == Want::Run))
    }

    pub fn watch_restart(&mut self, n: usize, instance: &InstanceId) {
        let silent = self.k.now - self.nodes[n].leaderless_since();
        if silent < LEADERLESS_AFTER_MS {
            let what = format!("{instance} is restarted in place {silent} ms after a leader was heard");
            self.broken("6 (with a leader, a crash gives a new instance)", what);
        }
    }

    /// An agent starts with what is on its disk.
    pub fn watch_agent_starts(&mut self, n: usize) {
        let forgot = self.watch.accepted.get(&n).filter(|highest| self.nodes[n].highest() != Some(*highest)).cloned();
        if let Some(highest) = forgot {
            self.broken("4 (agents remember the highest epoch)", format!("node{n:02} has forgotten {highest:?}"));
        }
    }

    pub fn watch_accepted(&mut self, n: usize, assignments: &Assignments) {
        let offered = &assignments.fence;
        if let Some(refusal) = self.watch.accepted.get(&n).and_then(|highest| highest.admits(offered).err()) {
            self.broken("4 (agents refuse lower epochs)", format!("node{n:02} takes the word of {offered:?}: {refusal}"));
        }
        self.watch.accepted.insert(n, offered.clone());
        let life = self.nodes[n].life;
        let ends = assignments.instances.iter().filter(|wanted| wanted.want == Want::Stop);
        self.watch.told_to_stop.extend(ends.map(|wanted| (n, life, wanted.instance.clone())));
    }

    /// A request goes where a router's table says.
    pub fn watch_visit(&mut self, r: usize, endpoint: &Endpoint) {
        self.watch.counts.visits += 1;
        let Some((n, address)) = node_of(endpoint.address) else { return };
        let (now, calm) = (self.k.now, self.k.calm);
        match self.docker[n].at(address) {
            _ if self.is_misplaced(&endpoint.instance, Some(r)) => {}
            Some(found) if found.of.as_ref().is_some_and(|of| of.instance != endpoint.instance) => {
                let what = format!("router{r} sends a request for {} to {}", endpoint.instance, found.name);
                self.broken("7 (no request reaches the wrong app)", what);
            }
            Some(found) if found.serves(now, calm) => {}
            Some(_) | None => {
                if self.k.setting.is_faultless() {
                    let what = format!("router{r} sends a request to {}, which does not serve", endpoint.instance);
                    self.broken("1 (no request is lost)", what);
                }
            }
        }
    }
}

fn restarted_within(run: u32) -> Ms {
    RESTARTED_WITHIN + (SECOND << run.min(10)).min(RESTART_MOST)
}
