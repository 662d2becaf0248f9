//! What an operator would see: decisions with their reasons, routes and holds, each once, at its time.

use std::collections::BTreeMap;

use dinp_common::deploy::DeployState;
use dinp_common::event::Severity;
use dinp_common::instance::{InstanceId, Want};
use dinp_common::name::AppName;
use dinp_common::plan::Change;
use dinp_planner::plan::Plan;

use crate::world::World;

/// Collects the lines. Instances are called `i1`, `i2` in the order of their placement, since their ids look alike.
#[derive(Debug, Default)]
pub struct Timeline {
    lines: Vec<String>,
    labels: BTreeMap<InstanceId, String>,
    routes: BTreeMap<AppName, String>,
    holds: BTreeMap<AppName, Vec<String>>,
    crashes: BTreeMap<AppName, u32>,
    said_at: Option<u64>,
    finished: usize,
}

impl Timeline {
    pub fn text(self) -> String {
        self.lines.join("\n")
    }

    pub fn instance(&self, label: &str) -> InstanceId {
        let found = self.labels.iter().find(|(_, known)| *known == label);
        found.unwrap_or_else(|| panic!("no instance {label} was placed yet")).0.clone()
    }

    pub fn say(&mut self, world: &World, text: String) {
        let time = format!("{}.{}s", world.now_ms / 1000, world.now_ms % 1000 / 100);
        let time = if self.said_at == Some(world.now_ms) { String::new() } else { time };
        self.said_at = Some(world.now_ms);
        let text = self.labels.iter().fold(text, |text, (id, label)| text.replace(id.as_str(), label));
        self.lines.push(format!("{time:>7}  {text}"));
    }

    /// Takes in one pass.
    pub fn passed(&mut self, world: &World, plan: &Plan) {
        for (app, number, state, _) in &world.finished[self.finished..] {
            if matches!(state, DeployState::Superseded | DeployState::Cancelled) {
                self.say(world, format!("deploy {number} of {app} {state}"));
            }
        }
        self.finished = world.finished.len();
        for change in &plan.changes {
            if let Change::Place { instance, .. } = change {
                let label = format!("i{}", self.labels.len() + 1);
                self.labels.insert(instance.id.clone(), label);
            }
            if let Some(text) = self.describe(change) {
                self.say(world, text);
            }
        }
        self.routes(world);
        self.holds(world, plan);
    }

    fn describe(&mut self, change: &Change) -> Option<String> {
        Some(match change {
            Change::Place { instance, .. } => {
                let (id, release, index) = (&instance.id, instance.release, instance.index);
                format!("{id} of {} {release} number {index} on {}, {}", instance.app, instance.node, instance.reason)
            }
            Change::Move { instance, want: Want::Run, reason } => format!("{instance} runs again (never): {reason}"),
            Change::Move { instance, want: Want::Drain, reason } => format!("{instance} drains: {reason}"),
            Change::Move { instance, want: Want::Stop, reason } => format!("{instance} stops: {reason}"),
            Change::Prove { instance, .. } => format!("{instance} is healthy"),
            Change::Forget { instance } => format!("{instance} is forgotten, its address free"),
            Change::Finish { state: DeployState::Cancelled, .. } => return None, // Said where it is counted as ended.
            Change::Finish { app, deploy, state, failure: None } => format!("deploy {deploy} of {app} {state}"),
            Change::Finish { app, deploy, state, failure: Some(failure) } => {
                let (cause, why, now, fix) = (failure.cause, &failure.why, &failure.now, &failure.fix);
                format!("deploy {deploy} of {app} {state}, {cause}: {why}\n           now: {now}\n           fix: {fix}")
            }
            Change::Live { app, release, .. } => format!("{app} lives on {release}"),
            Change::Backoff { app, backoff } => {
                if self.crashes.insert(app.clone(), backoff.crashes).unwrap_or(0) == backoff.crashes {
                    return None; // Only its time went on.
                }
                format!("{app} has crashed {} times, the next start waits {} ms", backoff.crashes, backoff.wait_ms)
            }
            Change::Erase { app } => format!("the record of {app} is erased"),
            Change::Note(note) if matches!(note.kind, "node_drained" | "rebalance_begun" | "rebalance_ended") => {
                note.text.clone()
            }
            Change::Note(note) if note.severity == Severity::Warning => format!("warning {}: {}", note.kind, note.text),
            Change::Spend { .. } | Change::Progress { .. } | Change::Held { .. } | Change::Rebalance(_) | Change::Note(_) => {
                return None;
            }
        })
    }

    fn routes(&mut self, world: &World) {
        let table = world.publisher.table();
        let mut now: BTreeMap<AppName, String> = BTreeMap::new();
        for route in table.values() {
            let endpoints: Vec<String> = route.endpoints.iter().map(|e| format!("{} ({})", e.instance, e.release)).collect();
            let mut named: Vec<String> = endpoints;
            named.sort_by_key(|text| self.labels.iter().find(|(id, _)| text.starts_with(id.as_str())).map(|(_, l)| l.clone()));
            let text = if named.is_empty() { format!("nobody, {:?}", route.state) } else { named.join(", ") };
            now.insert(route.app.clone(), text);
        }
        for app in self.routes.keys().filter(|app| !now.contains_key(*app)).cloned().collect::<Vec<_>>() {
            self.say(world, format!("route {app}: none"));
        }
        for (app, text) in &now {
            if self.routes.get(app) != Some(text) {
                self.say(world, format!("route {app} -> {text}"));
            }
        }
        self.routes = now;
    }

    /// Holds that count seconds down are said once.
    fn holds(&mut self, world: &World, plan: &Plan) {
        let timeless = |text: &String| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
        for (app, holds) in &plan.holds {
            let before = self.holds.get(app).cloned().unwrap_or_default();
            for hold in holds.iter().filter(|hold| !before.iter().any(|old| timeless(old) == timeless(hold))) {
                self.say(world, format!("held {app}: {hold}"));
            }
        }
        self.holds.clone_from(&plan.holds);
    }
}
