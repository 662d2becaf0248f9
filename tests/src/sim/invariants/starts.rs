//! Nothing is started that is not missing, and nothing twice.

use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::name::NodeName;
use dinp_common::plan::Change;

use super::{LAG, World};
use crate::sim::kernel::{Ms, SECOND};
use crate::sim::names;
use crate::sim::server::PassData;

/// How long after its record an instance may have no container yet and still be on its way.
const ON_ITS_WAY: Ms = 5 * SECOND;

impl World {
    /// No instance is started while as many as are wanted serve steadily on nodes that nothing ails.
    pub(super) fn nothing_is_started_in_vain(&mut self, s: usize, changes: &[Change], data: &PassData) {
        let lost_after = self.k.setting.policy.lost_after_ms;
        let patience = lost_after + LAG;
        // Until each node has had its time under this leader, the leader waits for it.
        let unheard = self.watch.led.get(&s).is_some_and(|led| led + lost_after > self.k.now);
        for change in changes {
            let Change::Place { instance: new, .. } = change else { continue };
            let Some(app) = data.desired.app(&new.app).filter(|app| app.live.is_some()) else { continue };
            if data.desired.deploy(&app.name).is_some() || self.store.tables.deploy(&app.name).is_some() {
                continue;
            }
            let steady = self.store.tables.instances_of(&app.name).filter(|other| {
                let n = names::number(other.node.as_str());
                let heard = self.servers[s].hears(n) || unheard;
                other.want == Want::Run
                    && (Some(other.release), other.generation) == (app.live, app.generation)
                    && heard
                    && !is_leaving(&other.node, data)
                    && self.serves_steadily(&other.id, &other.node, patience)
                    && self.node_is_heard(n, s, if unheard { 0 } else { patience })
            });
            let steady = steady.count();
            if steady >= app.instances as usize {
                let what = format!("{} of {} is started beside {steady} that serve", new.id, app.name);
                return self.broken("4, 9 (nothing well is replaced)", what);
            }
        }
    }

    /// What was placed a moment ago counts, whether anybody has heard of it or not.
    pub(super) fn nothing_is_started_twice(&mut self, s: usize, changes: &[Change], data: &PassData) {
        let moved =
            |id: &InstanceId| changes.iter().any(|change| matches!(change, Change::Move { instance, .. } if instance == id));
        for change in changes {
            let Change::Place { instance: new, .. } = change else { continue };
            if self.watch.placed.contains_key(&new.id) {
                let what = format!("{} was placed before, and is placed again for {}", new.id, new.app);
                return self.broken("5 (an instance is placed once)", what);
            }
            let Some(app) = data.desired.app(&new.app) else { continue };
            let is_like = |other: &&Instance| (other.release, other.generation) == (new.release, new.generation);
            let sound = self.store.tables.instances_of(&app.name).filter(is_like);
            let sound =
                sound.filter(|other| !moved(&other.id) && !is_leaving(&other.node, data) && self.is_sound(other, s)).count();
            if sound >= app.instances as usize {
                let what = format!("{} of {} {} is started beside {sound} that start or serve", new.id, app.name, new.release);
                return self.broken("5 (nothing is started twice)", what);
            }
        }
    }

    /// It is to run, nobody can think it ended or lost, and it serves if it ever did.
    fn is_sound(&self, other: &Instance, s: usize) -> bool {
        let patience = self.k.setting.policy.lost_after_ms + LAG;
        let n = names::number(other.node.as_str());
        if other.want != Want::Run || !self.servers[s].hears(n) || !self.node_is_well(n, s, patience) {
            return false;
        }
        if other.proven {
            return self.serves_steadily(&other.id, &other.node, patience);
        }
        let placed = self.watch.placed.get(&other.id).is_some_and(|placed| placed.at + ON_ITS_WAY > self.k.now);
        // One that ends, or cannot be made, is soon taken back.
        placed && self.vessel(&other.id, &other.node).is_none_or(|found| found.run == 0 || found.runs())
    }
}

fn is_leaving(node: &NodeName, data: &PassData) -> bool {
    data.desired.nodes.iter().any(|other| other.name == *node && other.draining)
}
