//! What is seen, and when to look again.

use std::collections::BTreeMap;
use std::time::Duration;

use dinp_common::instance::{InstanceId, Want};
use dinp_common::wire::{Assignment, AssignmentVersion, InstanceReport, Orphan};

use super::{Convergence, Listing, end::grace};
use crate::agent::container::ContainerState;
use crate::agent::track::{Phase, Track};
use crate::agent::{KILL_AGAIN, LEADERLESS_AFTER, SETTLE};

/// Everything a report says, before it is known what the server knows already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// False until the containers were listed once and those found running were probed once: nothing below is then
    /// a full account.
    pub complete: bool,
    pub assignment: Option<AssignmentVersion>,
    pub instances: BTreeMap<InstanceId, InstanceReport>,
    pub cooling: Vec<InstanceId>,
    pub orphans: Vec<Orphan>,
    /// Instances this node can hold at once: an address in quarantine is for none of them, nor is an orphan's.
    pub addresses: u32,
}

impl Convergence {
    pub fn observed(&self, now: Duration) -> Observed {
        let assigned = self.level.iter().flat_map(|level| level.instances.values());
        let orphans = self.orphans();
        let held = orphans.iter().filter(|orphan| self.addresses.used_by(&orphan.instance).is_some()).count() as u32;
        Observed {
            complete: self.complete(now),
            assignment: self.level.as_ref().map(|level| level.at),
            instances: assigned.filter_map(|wanted| Some((wanted.instance.clone(), self.instance(now, wanted)?))).collect(),
            cooling: self.addresses.cooling(),
            orphans,
            addresses: self.addresses.capacity().saturating_sub(held),
        }
    }

    fn instance(&self, now: Duration, wanted: &Assignment) -> Option<InstanceReport> {
        let track = self.tracks.get(&wanted.instance)?;
        Some(InstanceReport {
            app: wanted.app.clone(),
            release: wanted.release,
            seen: track.seen(now, self.addresses.used_by(&wanted.instance), wanted.spec.port),
            listening: track.listening.clone(),
            restarts: track.restarts,
        })
    }

    /// Without an assignment in force nobody can say what is an orphan.
    fn orphans(&self) -> Vec<Orphan> {
        let Some(level) = &self.level else { return Vec::new() };
        let strays = self.containers.values().filter(|container| !level.instances.contains_key(&container.instance));
        strays
            .map(|container| Orphan {
                container: container.name(),
                app: container.app.clone(),
                instance: container.instance.clone(),
                running: container.state == ContainerState::Running,
            })
            .collect()
    }

    /// A container found running may have been healthy for days; its first probe should speak before the report does.
    fn complete(&self, now: Duration) -> bool {
        let Some(listed) = self.listed_at else { return false };
        now >= listed + SETTLE || self.tracks.values().all(|track| track.phase != Phase::Alive || track.probed)
    }

    /// When time alone makes something due; `None` while nothing waits for time.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        let settles = self.listed_at.map(|listed| listed + SETTLE).filter(|at| *at > now);
        if self.listing != Listing::Known {
            return settles;
        }
        let assigned = self.level.iter().flat_map(|level| level.instances.values());
        let dues = assigned.filter_map(|wanted| self.due(now, wanted, self.tracks.get(&wanted.instance)?));
        dues.chain(settles).min()
    }

    fn due(&self, now: Duration, wanted: &Assignment, track: &Track) -> Option<Duration> {
        if track.op.is_some() {
            let overdue = (track.phase == Phase::Dead(None)).then(|| track.exit_overdue());
            return overdue.filter(|at| *at > now);
        }
        let due = match &track.phase {
            Phase::Ending { term: Some(term), kill } => kill.map_or(*term + grace(wanted), |kill| kill + KILL_AGAIN),
            Phase::Dead(Some(_)) if wanted.want == Want::Run && self.containers.contains_key(&wanted.instance) => {
                track.restart_at().max(self.heard.unwrap_or_default() + LEADERLESS_AFTER)
            }
            Phase::Waiting(_) | Phase::Dead(None) | Phase::Ending { term: None, .. } if track.tries > 0 => track.retry_at,
            Phase::Waiting(_) | Phase::Alive | Phase::Dead(_) | Phase::Broken(_) | Phase::Ending { .. } | Phase::Gone => {
                return None;
            }
        };
        Some(due.max(track.retry_at))
    }
}
