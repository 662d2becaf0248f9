//! What of a rollout is worth a line: each instance's change of state at once, its reason only where it lasts.

use std::collections::BTreeMap;
use std::time::Duration;

use dinp_common::api::{DeployView, InstanceView};
use dinp_common::instance::{InstanceId, InstanceStatus};
use tokio::time::Instant;

use crate::user::words;

/// A reason or a step that stands this long is what people wait for; the others pass within milliseconds.
const LASTS: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Rollout {
    /// Nothing is left unsaid.
    verbose: bool,
    begun: bool,
    instances: BTreeMap<InstanceId, (InstanceStatus, Lasting)>,
    ready: Option<(u32, u32)>,
    step: Lasting,
}

/// A text, since when it stands, and whether it was said.
#[derive(Default)]
struct Lasting {
    text: String,
    since: Option<Instant>,
    said: bool,
}

impl Lasting {
    fn said(text: &str, now: Instant, said: bool) -> Self {
        Self { text: text.to_owned(), since: Some(now), said }
    }

    /// Takes the text of this moment; true where it should be said now.
    fn due(&mut self, text: &str, now: Instant, at_once: bool) -> bool {
        if self.text != text {
            *self = Self::said(text, now, false);
        }
        let due = !self.said && (at_once || self.since.is_some_and(|since| now - since >= LASTS));
        self.said |= due;
        due
    }
}

impl Rollout {
    pub fn new(verbose: bool) -> Self {
        Self { verbose, ..Self::default() }
    }

    /// Lines about the instances that changed.
    pub fn instances(&mut self, view: &DeployView, all: &[InstanceView], now: Instant) -> Vec<String> {
        let news = all.iter().filter(|instance| self.is_news(view, instance, now)).map(words::instance_step).collect();
        self.begun = true;
        news
    }

    fn is_news(&mut self, view: &DeployView, instance: &InstanceView, now: Instant) -> bool {
        use InstanceStatus::{Pending, Starting};
        let (status, reason) = (instance.status, instance.reason.as_str());
        if let Some((before, lasting)) = self.instances.get_mut(&instance.id).filter(|(before, _)| *before == status) {
            // An old instance's reasons are none of this deploy's business.
            let ours = view.to == Some(instance.release) && matches!(before, Pending | Starting | InstanceStatus::Failed);
            return lasting.due(reason, now, self.verbose) && (ours || self.verbose);
        }
        // What was there when the watching began is not news, unless it is on its way.
        let known = self.instances.contains_key(&instance.id);
        let news = known || self.begun || matches!(status, Pending | Starting);
        self.instances.insert(instance.id.clone(), (status, Lasting::said(reason, now, true)));
        news
    }

    /// Whether the deploy's own step is worth a line: a new count at once, a new step where it lasts.
    pub fn step(&mut self, view: &DeployView, now: Instant) -> bool {
        let counted = self.ready.replace((view.ready, view.wanted)) != Some((view.ready, view.wanted));
        self.step.due(&view.step, now, counted || self.verbose) || counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinp_common::api::Page;
    use dinp_common::deploy::DeployState;

    fn view() -> DeployView {
        let text = r#"{"app": "shop", "number": 4, "kind": "release", "state": "running", "phase": "rollout",
            "strategy": "rolling", "note": "", "author": "", "from": 3, "to": 4, "build": null, "ready": 0, "wanted": 1,
            "draining": 0, "step": "", "spent_ms": 0, "deadline_ms": 1, "failure": null, "url": "", "created_at": ""}"#;
        serde_json::from_str(text).expect("a deploy")
    }

    /// `id release status reason`, one a line.
    fn instances(text: &str) -> Vec<InstanceView> {
        let items = text.lines().map(|line| {
            let mut words = line.splitn(4, ' ');
            let mut word = || words.next().expect("four words");
            let (id, release, status, reason) = (word(), word(), word(), word());
            format!(
                r#"{{"id": "{id}", "app": "shop", "release": {release}, "node": "n", "index": 0, "want": "run",
                    "status": "{status}", "reason": "{reason}", "address": null, "last_exit": null}}"#
            )
        });
        let page = format!(r#"{{"items": [{}], "next_cursor": null}}"#, items.collect::<Vec<_>>().join(","));
        serde_json::from_str::<Page<InstanceView>>(&page).expect("instances").items
    }

    #[test]
    fn states_are_said_at_once_and_reasons_only_where_they_last() {
        let (mut rollout, began) = (Rollout::default(), Instant::now());
        let mut at =
            |ms: u64, text: &str| rollout.instances(&view(), &instances(text), began + Duration::from_millis(ms)).join("; ");
        assert_eq!(at(0, "old 3 Running serves\nnew 4 Pending queued"), "new v4 on n  Pending: queued");
        assert_eq!(at(10, "old 3 Running serves\nnew 4 Pending creating"), "");
        assert_eq!(at(20, "old 3 Running serves\nnew 4 Starting refused"), "new v4 on n  Starting: refused");
        assert_eq!(at(30, "old 3 Running serves\nnew 4 Starting reset"), "");
        assert_eq!(at(1030, "old 3 Running serves\nnew 4 Starting reset"), "new v4 on n  Starting: reset");
        assert_eq!(at(3000, "old 3 Running serves\nnew 4 Starting reset"), "");
        assert_eq!(
            at(3010, "old 3 Draining ends\nnew 4 Running serves"),
            "old v3 on n  Draining: ends; new v4 on n  Running: serves"
        );
        assert_eq!(at(5000, "old 3 Draining one request\nnew 4 Running serves"), "");
    }

    #[test]
    fn counts_are_said_at_once_and_steps_only_where_they_last() {
        let (mut rollout, began) = (Rollout::default(), Instant::now());
        let mut at = |ms: u64, ready: u32, step: &str| {
            let view = DeployView { ready, step: step.to_owned(), state: DeployState::Running, ..view() };
            rollout.step(&view, began + Duration::from_millis(ms))
        };
        assert!(at(0, 0, "placing"));
        assert!(!at(10, 0, "creating"));
        assert!(!at(1000, 0, "creating"));
        assert!(at(1010, 0, "creating"));
        assert!(at(1020, 1, "creating"));
        assert!(!at(1030, 1, "draining"));
    }
}
