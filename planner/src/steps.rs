//! How long each instance that is on its way has been at its present step: waiting, being created, being started, or
//! running without having been healthy. One that moves on from step to step has all of each step's time.

use std::collections::BTreeMap;

use dinp_common::health::Health;
use dinp_common::instance::{InstanceId, Seen};
use dinp_common::wire::InstanceReport;

/// What one server remembers of one node. Its clock is whatever the caller counts.
#[derive(Debug, Clone, Default)]
pub struct Steps(BTreeMap<InstanceId, Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// As the node says it; `None` once its container runs.
    words: Option<String>,
    since_ms: u64,
}

impl Steps {
    /// The node's instances as they are now. Whatever moved begins its step now.
    pub fn follow(&mut self, instances: &BTreeMap<InstanceId, InstanceReport>, now_ms: u64) {
        self.0.retain(|id, _| instances.contains_key(id));
        for (id, report) in instances {
            let words = match &report.seen {
                Seen::Pending { step } => Some(step),
                Seen::Running { health: Health::Unproven { .. }, .. } => None,
                Seen::Running { health: Health::Healthy | Health::Unhealthy { .. }, .. }
                | Seen::Exited { .. }
                | Seen::Failed { .. }
                | Seen::Stopping
                | Seen::Gone => {
                    self.0.remove(id);
                    continue;
                }
            };
            if self.0.get(id).is_none_or(|known| known.words.as_ref() != words) {
                self.0.insert(id.clone(), Step { words: words.cloned(), since_ms: now_ms });
            }
        }
    }

    /// Milliseconds at its present step, of each that is on its way.
    pub fn spent(&self, now_ms: u64) -> BTreeMap<InstanceId, u64> {
        self.0.iter().map(|(id, step)| (id.clone(), now_ms.saturating_sub(step.since_ms))).collect()
    }
}

#[cfg(test)]
mod tests {
    use dinp_common::name::AppName;
    use dinp_common::release::ReleaseNo;

    use super::*;

    fn report(seen: Seen) -> InstanceReport {
        let app = AppName::parse("shop").expect("name");
        InstanceReport { app, release: ReleaseNo(1), seen, listening: vec![], restarts: 0 }
    }

    fn running(health: Health) -> Seen {
        Seen::Running { address: ([10, 0, 0, 1], 8080).into(), health }
    }

    #[test]
    fn a_step_begins_when_the_one_before_it_ends_and_a_served_one_has_none() {
        let id = InstanceId::from_sequence(1);
        let mut steps = Steps::default();
        let mut at = |now_ms: u64, seen: Seen| {
            steps.follow(&[(id.clone(), report(seen))].into(), now_ms);
            steps.spent(now_ms).get(&id).copied()
        };
        let pending = |step: &str| Seen::Pending { step: step.into() };
        assert_eq!(at(1_000, pending("creating its container")), Some(0));
        assert_eq!(at(9_000, pending("creating its container")), Some(8_000));
        assert_eq!(at(9_500, pending("starting its container")), Some(0));
        let unproven = |last: Option<&str>| running(Health::Unproven { last: last.map(str::to_owned) });
        assert_eq!(at(10_000, unproven(None)), Some(0));
        assert_eq!(at(20_000, unproven(Some("connection refused"))), Some(10_000), "another answer is no other step");
        assert_eq!(at(21_000, running(Health::Healthy)), None);
        steps.follow(&BTreeMap::new(), 22_000);
        assert_eq!(steps.spent(22_000), BTreeMap::new());
    }
}
