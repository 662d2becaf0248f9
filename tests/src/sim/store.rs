//! The simulated database: one serialisable transaction at a time, and the rules of the store's SQL.

mod build;
mod history;
pub mod hold;
pub mod wishes;

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::deploy::{Deploy, DeployState};
use dinp_common::fence::{Fence, LeaseRow};
use dinp_common::instance::Instance;
use dinp_common::name::{AppName, NodeName, RouterId};
use dinp_common::node::{Node, NodeUse};
use dinp_common::plan::{Change, Desired};
use dinp_common::rebalance::Rebalance;
use dinp_planner::apply::apply;

use super::kernel::Ms;
use super::names::cluster;

/// Epochs and instance numbers that a restored copy jumps over, so that nothing it has forgotten is given out again.
const JUMP: u64 = 1_000;

/// Everything in the tables, and what ails the database just now.
pub struct Store {
    /// Holds every release there ever was; a load leaves out what nobody needs.
    pub tables: Desired,
    pub lease: LeaseRow,
    /// The last deploy of each app that has ended.
    ended: BTreeMap<AppName, Deploy>,
    /// It refuses everything at once.
    pub down: bool,
    /// It answers nothing.
    pub hung: bool,
    /// Milliseconds every call takes longer.
    pub slow: Ms,
    last_build: u32,
    /// A transaction that is being committed holds the lease's row until then.
    pub locked_until: Ms,
    copy: Option<Box<Copy>>,
}

/// What a replica had when its master was lost.
struct Copy {
    tables: Desired,
    lease: LeaseRow,
    ended: BTreeMap<AppName, Deploy>,
}

/// Another server leads, so a transaction was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fenced;

impl Default for Store {
    fn default() -> Self {
        Self {
            tables: Desired { next_instance: 1, ..Desired::default() },
            lease: LeaseRow { epoch: 0, holder: String::new(), counter: LeaseRow::RELEASED },
            ended: BTreeMap::new(),
            down: false,
            hung: false,
            slow: 0,
            last_build: 0,
            locked_until: 0,
            copy: None,
        }
    }
}

impl Store {
    /// What a pass reads, as of one moment.
    pub fn load(&self) -> Desired {
        let tables = &self.tables;
        let live = tables.apps.iter().filter_map(|app| Some((&app.name, app.live?)));
        let to = tables.deploys.iter().filter_map(|deploy| Some((&deploy.app, deploy.to?)));
        let run = tables.instances.iter().map(|instance| (&instance.app, instance.release));
        let needed: BTreeSet<_> = live.chain(to).chain(run).map(|(app, release)| (app.clone(), release)).collect();
        let releases = needed.into_iter().filter_map(|key| Some((key.clone(), tables.releases.get(&key)?.clone())));
        Desired {
            apps: tables.apps.clone(),
            releases: releases.collect(),
            deploys: tables.deploys.clone(),
            instances: tables.instances.clone(),
            nodes: tables.nodes.clone(),
            routers: tables.routers.clone(),
            next_instance: tables.next_instance,
            images: tables.images.clone(),
            rebalance: tables.rebalance.clone(),
            refused: Default::default(),
        }
    }

    /// Compare-and-set on the lease's row.
    pub fn take(&mut self, seen: &LeaseRow, holder: &str, at_least: u64) -> Option<Fence> {
        if self.lease != *seen {
            return None;
        }
        let epoch = at_least.max(seen.epoch + 1);
        self.lease = LeaseRow { epoch, holder: holder.to_owned(), counter: 1 };
        Some(Fence { cluster: cluster(), epoch, holder: holder.to_owned() })
    }

    /// Raises the counter; false if the lease is not this holder's any more.
    pub fn touch(&mut self, fence: &Fence) -> bool {
        let held = self.lease.epoch == fence.epoch && self.lease.holder == fence.holder && !self.lease.is_released();
        self.lease.counter += u64::from(held);
        held
    }

    pub fn release(&mut self, fence: &Fence) {
        if self.touch(fence) {
            self.lease.counter = LeaseRow::RELEASED;
        }
    }

    /// All changes or none. Answers those that were made: what people have overtaken since is left out.
    pub fn commit(&mut self, fence: &Fence, changes: &[Change], fenced: bool) -> Result<Vec<Change>, Fenced> {
        if fenced && (fence.cluster != cluster() || !self.touch(fence)) {
            return Err(Fenced);
        }
        let mut made = Vec::with_capacity(changes.len());
        for change in changes {
            if let Change::Place { sequence, .. } = change {
                self.tables.next_instance = self.tables.next_instance.max(sequence + 1);
            }
            if self.holds_good(change) {
                self.note_end(change);
                apply(&mut self.tables, std::slice::from_ref(change));
                made.push(change.clone());
            }
        }
        Ok(made)
    }

    fn holds_good(&self, change: &Change) -> bool {
        let tables = &self.tables;
        let known = |id| tables.instances.binary_search_by(|instance| instance.id.cmp(id)).is_ok();
        match change {
            Change::Place { instance, .. } => {
                !known(&instance.id) && tables.releases.contains_key(&(instance.app.clone(), instance.release))
            }
            Change::Prove { instance, address } => {
                let is_news = |other: &Instance| other.id == *instance && (!other.proven || other.moved_to(*address));
                tables.instances.iter().any(is_news)
            }
            Change::Live { app, release, generation } => {
                let leads_here = |deploy: &Deploy| {
                    (deploy.to, deploy.generation) == (Some(*release), *generation) && deploy.state != DeployState::Cancelled
                };
                self.newest(app).is_some_and(leads_here)
            }
            Change::Finish { app, deploy, .. } => tables.deploy(app).is_some_and(|running| running.number == *deploy),
            Change::Rebalance(state) => state.follows(tables.rebalance.as_ref()),
            Change::Erase { app } => tables.app(app).is_some_and(|app| app.deleted) && tables.instances_of(app).next().is_none(),
            _ => true,
        }
    }

    /// The newest deploy of an app, whether it runs or not.
    fn newest(&self, app: &AppName) -> Option<&Deploy> {
        self.tables.deploy(app).or_else(|| self.ended.get(app))
    }

    fn note_end(&mut self, change: &Change) {
        match change {
            Change::Finish { app, state, .. } => {
                if let Some(running) = self.tables.deploy(app) {
                    self.ended.insert(app.clone(), Deploy { state: *state, ..running.clone() });
                }
            }
            Change::Erase { app } => drop(self.ended.remove(app)),
            _ => {}
        }
    }

    pub fn record_node(&mut self, node: &NodeName) {
        if let Err(at) = self.tables.nodes.binary_search_by(|other| other.name.cmp(node)) {
            self.tables.nodes.insert(at, Node { name: node.clone(), cordoned: false, draining: false });
        }
    }

    /// What people use a node for; false if no such node has joined.
    pub fn node_use(&mut self, node: &NodeName, wanted: NodeUse) -> bool {
        let Some(found) = self.tables.nodes.iter_mut().find(|other| other.name == *node) else { return false };
        (found.cordoned, found.draining) = match wanted {
            NodeUse::Open => (false, false),
            NodeUse::Cordoned => (true, false),
            NodeUse::Draining => (true, true),
        };
        true
    }

    /// As people ask for it; false if one goes on.
    pub fn rebalance_begin(&mut self) -> bool {
        let number = self.tables.rebalance.as_ref().map_or(1, |last| last.number + 1);
        let begins = self.tables.rebalancing().is_none();
        if begins {
            self.tables.rebalance = Some(Rebalance::new(number, "somebody"));
        }
        begins
    }

    /// False if none goes on.
    pub fn rebalance_cancel(&mut self) -> bool {
        let running = self.tables.rebalance.take_if(|last| last.ended.is_none());
        let cancelled = running.map(|running| running.cancelled("somebody"));
        let any = cancelled.is_some();
        self.tables.rebalance = cancelled.or_else(|| self.tables.rebalance.take());
        any
    }

    pub fn record_router(&mut self, router: &RouterId) {
        if let Err(at) = self.tables.routers.binary_search(router) {
            self.tables.routers.insert(at, router.clone());
        }
    }

    pub fn forget_router(&mut self, router: &RouterId) {
        self.tables.routers.retain(|other| other != router);
    }

    /// From here on, everything is only on the master.
    pub fn fall_behind(&mut self) {
        let copy = Copy { tables: self.tables.clone(), lease: self.lease.clone(), ended: self.ended.clone() };
        self.copy = Some(Box::new(copy));
    }

    /// The master is lost, and the replica takes its place: what was committed since is gone. Whoever brings an old copy
    /// into force with care jumps the numbers that must never be given twice. Without, an epoch may be given twice; the
    /// numbers of instances jump wherever one would be.
    pub fn fail_over(&mut self, careful: bool) {
        let Some(copy) = self.copy.take() else { return };
        let (highest, next) = (self.lease.epoch, self.tables.next_instance);
        (self.tables, self.lease, self.ended) = (copy.tables, copy.lease, copy.ended);
        if careful || self.tables.next_instance != next {
            self.lease = LeaseRow { epoch: highest + JUMP, holder: String::new(), counter: LeaseRow::RELEASED };
            self.tables.next_instance = next + JUMP;
        }
    }

    pub fn mend(&mut self) {
        (self.down, self.hung, self.slow, self.copy) = (false, false, 0, None);
    }
}
