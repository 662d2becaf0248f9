//! Bugs of agents, routers and Redis.

use dinp_common::fence::FenceRefusal;
use dinp_common::route::RouteUpdate;
use dinp_common::wire::Assignments;
use dinp_planner::agent::gate::Admitted;
use dinp_planner::agent::{Container, container};

use super::Planted;
use crate::sim::docker::Call;
use crate::sim::faults::Mend;
use crate::sim::kernel::SECOND;
use crate::sim::redis::CertKey;
use crate::sim::world::World;

impl World {
    pub(in crate::sim) fn twist_admitted(&self, admitted: Result<Admitted, FenceRefusal>) -> Result<Admitted, FenceRefusal> {
        match (self.k.planted, &admitted) {
            (Some(Planted::GateSkipped), _) => Ok(Admitted::Known),
            (Some(Planted::EqualEpochAccepted), Err(FenceRefusal::OtherHolder { .. })) => Ok(Admitted::Known),
            _ => admitted,
        }
    }

    /// The orders an agent follows.
    pub(in crate::sim) fn twist_accepted(&mut self, assignments: &Assignments) -> Assignments {
        let mut assignments = assignments.clone();
        if self.k.is_planted(Planted::OldLevelsCount) {
            assignments.revision = self.k.fresh();
        }
        assignments
    }

    /// An agent has a list of its containers.
    pub(in crate::sim) fn twist_listed(&mut self, n: usize, containers: &[Container]) {
        match self.k.planted {
            Some(Planted::ListTrusted) => {
                self.nodes[n].last_list = containers.iter().map(|container| container.id.clone()).collect();
            }
            Some(Planted::ForeignRemoved) => {
                let labelled = |found: &&crate::sim::docker::Vessel| found.of.is_none() && found.has_label(container::LABEL_APP);
                let foreign: Vec<String> = self.docker[n].boxes.values().filter(labelled).map(|found| found.id.clone()).collect();
                foreign.into_iter().for_each(|id| drop(self.perform(n, Call::Kill(id))));
            }
            Some(Planted::OrphansRemoved) => {
                let orphans = self.nodes[n].orphans();
                orphans.into_iter().for_each(|id| drop(self.perform(n, Call::Kill(id))));
            }
            _ => {}
        }
    }

    /// A container that is asked for counts as gone, whatever Docker would say.
    pub(in crate::sim) fn counts_as_gone(&self, n: usize, container: &str, code: Option<i64>) -> bool {
        let listed = |id: &str| self.nodes[n].last_list.iter().any(|listed| listed == id);
        self.k.is_planted(Planted::ListTrusted) && code.is_none() && !listed(container)
    }

    /// A router reads Redis; false if that was its end.
    pub(in crate::sim) fn survives_reading(&mut self, r: usize) -> bool {
        let junk = self.redis.junk || self.redis.cert == CertKey::Junk;
        if !junk || !self.k.is_planted(Planted::JunkEndsRouters) {
            return true;
        }
        self.kill_router(r);
        self.mend_after(SECOND, 10 * SECOND, Mend::Router(r));
        false
    }

    /// Before Redis compares a table's fence with what it holds.
    pub(in crate::sim) fn twist_fence(&mut self, update: &RouteUpdate) {
        if self.k.is_planted(Planted::RedisUnfenced) && matches!(update, RouteUpdate::Full { .. }) {
            self.redis.cert = CertKey::Missing;
        }
    }
}
