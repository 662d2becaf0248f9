//! `dinp why`: what is wanted, what is held back and why, in sentences.

use dinp_common::api::{AppView, DeployView, WhyInstance, WhyView};
use dinp_common::app::App;
use dinp_common::deploy::DeployPhase;
use dinp_common::event::Event;
use dinp_common::instance::{Instance, Seen};
use dinp_common::node::NodeStatus;

use super::{count, instance_state, instances_of};
use crate::cluster::Snapshot;

/// Lines of a dead instance's output that are shown.
const OUTPUT_LINES: usize = 20;

/// `view` is the same app's view; `events` are the latest, newest first.
pub fn why_view(snapshot: &Snapshot, app: &App, view: &AppView, events: Vec<Event>) -> WhyView {
    let instances = instances_of(snapshot, &app.name);
    let mut sentences = vec![wanted(app, view), sentence(&view.reason)];
    let last = view.last_deploy.as_ref();
    sentences.extend(last.and_then(under_way));
    sentences.extend(snapshot.holds.get(&app.name).into_iter().flatten().map(|hold| format!("Held back: {}", sentence(hold))));
    sentences.extend(backoff(app));
    sentences.extend(node_trouble(snapshot, &instances));
    if !snapshot.leading {
        sentences.push("This server does not lead just now; what it says may be a moment old.".to_owned());
    }
    let failure = last.and_then(|deploy| deploy.failure.clone());
    if let (Some(deploy), Some(failure)) = (last, &failure) {
        sentences.push(format!("Deploy {} ({}) failed: {}", deploy.number, deploy.note, sentence(&failure.why)));
        sentences.push(format!("Now: {}", sentence(&failure.now)));
        sentences.push(format!("Try: {}", sentence(&failure.fix)));
    }
    sentences.dedup();
    WhyView {
        app: app.name.clone(),
        status: view.status,
        sentences,
        instances: instances.iter().map(|instance| why_instance(snapshot, instance)).collect(),
        failure,
        events,
    }
}

fn wanted(app: &App, view: &AppView) -> String {
    let name = &app.name;
    let each = view.memory.map(|memory| format!(", {memory} each")).unwrap_or_default();
    match (app.deleted, app.stopped, app.live) {
        (true, _, _) => format!("{name} is to be deleted, with everything of it."),
        (_, true, _) => format!("{name} is to be stopped until somebody starts it."),
        (_, _, None) => {
            format!("{name} is to run {}, and has no release that was proven good.", count(app.instances, "instance"))
        }
        (_, _, Some(live)) => format!("{name} is to run {} of {live}{each}.", count(app.instances, "instance")),
    }
}

fn under_way(deploy: &DeployView) -> Option<String> {
    if deploy.state.is_final() {
        return None;
    }
    let (number, note, spent) = (deploy.number, &deploy.note, deploy.spent_ms / 1000);
    // The deadline counts from the end of the build, which has one of its own.
    if deploy.phase == DeployPhase::Build {
        return Some(format!("Deploy {number} ({note}) has been building for {spent} s; {}", sentence(&deploy.step)));
    }
    Some(format!(
        "Deploy {number} ({note}) has worked for {spent} s of at most {} s: {} of {} serve; {}",
        deploy.deadline_ms / 1000,
        deploy.ready,
        deploy.wanted,
        sentence(&deploy.step)
    ))
}

fn backoff(app: &App) -> Option<String> {
    (app.backoff.crashes > 0 && app.backoff.wait_ms > 0).then(|| {
        let (times, wait) = (count(app.backoff.crashes, "time"), app.backoff.wait_ms.div_ceil(1000));
        format!("It crashed {times} in a row; the next start waits {wait} s more.")
    })
}

fn node_trouble(snapshot: &Snapshot, instances: &[&Instance]) -> Vec<String> {
    let mut nodes: Vec<_> = instances.iter().map(|instance| &instance.node).collect();
    nodes.sort();
    nodes.dedup();
    let ill = nodes.into_iter().filter_map(|name| snapshot.nodes.get(name).map(|seen| (name, seen)));
    ill.filter(|(_, seen)| seen.status != NodeStatus::Ready)
        .map(|(name, seen)| format!("Node {name} is {}: {}", seen.status, sentence(&seen.reason)))
        .collect()
}

fn why_instance(snapshot: &Snapshot, instance: &Instance) -> WhyInstance {
    let state = instance_state(snapshot, instance);
    let output = match snapshot.instances.get(&instance.id).map(|report| &report.seen) {
        Some(Seen::Exited { exit }) if !exit.output.is_empty() => Some(exit.tail(OUTPUT_LINES).collect::<Vec<_>>().join("\n")),
        _ => None,
    };
    let placed =
        if instance.reason.is_empty() { String::new() } else { format!(" Last decision: {}", sentence(&instance.reason)) };
    let text = format!("{} on {}: {}{placed}", instance.release, instance.node, sentence(&state.reason));
    WhyInstance { id: instance.id.clone(), status: state.status, text, output }
}

/// Ends with one full stop.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}
