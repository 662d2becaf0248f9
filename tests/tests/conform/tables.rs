//! The store in memory: `planner::apply`, behind the lease and the rule that a newer wish of people's goes first.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::deploy::Deploy;
use dinp_common::fence::{Fence, LeaseRow};
use dinp_common::name::{AppName, ClusterId};
use dinp_common::plan::{Change, Desired};
use dinp_common::release::{Release, ReleaseNo};
use dinp_planner::apply::apply;

#[derive(Debug)]
pub struct Tables {
    pub cluster: ClusterId,
    pub lease: LeaseRow,
    pub desired: Desired,
    /// All releases; a load leaves out what nothing refers to.
    pub releases: BTreeMap<(AppName, ReleaseNo), Release>,
    /// The newest deploy of each app, running or not.
    pub newest: BTreeMap<AppName, Deploy>,
}

impl Tables {
    pub fn take(&mut self, seen: &LeaseRow, holder: &str, at_least: u64) -> Option<Fence> {
        if self.lease != *seen {
            return None;
        }
        let epoch = at_least.max(seen.epoch + 1);
        self.lease = LeaseRow { epoch, holder: holder.to_owned(), counter: 1 };
        Some(Fence { cluster: self.cluster.clone(), epoch, holder: holder.to_owned() })
    }

    fn is_held_by(&self, fence: &Fence) -> bool {
        (self.lease.epoch, &self.lease.holder) == (fence.epoch, &fence.holder)
    }

    /// A renewal, and the first statement of every commit.
    pub fn touch(&mut self, fence: &Fence) -> bool {
        let held = self.is_held_by(fence) && !self.lease.is_released();
        self.lease.counter += u64::from(held);
        held
    }

    pub fn release(&mut self, fence: &Fence) {
        if self.is_held_by(fence) {
            self.lease.counter = LeaseRow::RELEASED;
        }
    }

    /// `false`: another server leads.
    pub fn commit(&mut self, fence: &Fence, changes: &[Change]) -> bool {
        if fence.cluster != self.cluster || !self.touch(fence) {
            return false;
        }
        for change in changes {
            if let Change::Place { sequence, .. } = change {
                self.desired.next_instance = self.desired.next_instance.max(sequence + 1);
            }
            if self.is_not_overtaken(change) {
                apply(&mut self.desired, std::slice::from_ref(change));
                if let Change::Erase { app } = change {
                    self.releases.retain(|(name, _), _| name != app);
                    self.newest.remove(app);
                }
            }
        }
        true
    }

    fn is_not_overtaken(&self, change: &Change) -> bool {
        match change {
            Change::Place { instance, .. } => self.releases.contains_key(&(instance.app.clone(), instance.release)),
            Change::Live { app, release, generation } => {
                self.newest.get(app).is_some_and(|deploy| (deploy.to, deploy.generation) == (Some(*release), *generation))
            }
            Change::Erase { app } => {
                self.desired.app(app).is_some_and(|app| app.deleted) && self.desired.instances_of(app).next().is_none()
            }
            _ => true,
        }
    }

    /// What a pass reads.
    pub fn load(&self) -> Desired {
        let desired = &self.desired;
        let live = desired.apps.iter().filter_map(|app| Some((&app.name, app.live?)));
        let to = desired.deploys.iter().filter_map(|deploy| Some((&deploy.app, deploy.to?)));
        let run = desired.instances.iter().map(|instance| (&instance.app, instance.release));
        let needed: BTreeSet<_> = live.chain(to).chain(run).map(|(app, release)| (app.clone(), release)).collect();
        let releases = needed.into_iter().filter_map(|key| self.releases.get_key_value(&key));
        Desired { releases: releases.map(|(key, release)| (key.clone(), release.clone())).collect(), ..desired.clone() }
    }
}
