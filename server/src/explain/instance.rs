//! One instance: its status word, and why.

use std::net::SocketAddr;

use dinp_common::api::InstanceView;
use dinp_common::health::Health;
use dinp_common::instance::{Instance, InstanceStatus, Seen, Want};
use dinp_common::name::AppName;
use dinp_common::node::NodeStatus;
use dinp_common::release::RunSpec;
use dinp_common::wire::InstanceReport;

use crate::cluster::Snapshot;
use crate::room;

/// Where an instance stands, in one word and one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceState {
    pub status: InstanceStatus,
    pub reason: String,
}

fn state(status: InstanceStatus, reason: impl Into<String>) -> InstanceState {
    InstanceState { status, reason: reason.into() }
}

/// An app's instances, by index and then id.
pub fn instances_of<'a>(snapshot: &'a Snapshot, app: &AppName) -> Vec<&'a Instance> {
    let mut found: Vec<_> = snapshot.desired.instances.iter().filter(|instance| instance.app == *app).collect();
    found.sort_by_key(|instance| (instance.index, &instance.id));
    found
}

pub fn instance_view(snapshot: &Snapshot, instance: &Instance) -> InstanceView {
    let InstanceState { status, reason } = instance_state(snapshot, instance);
    let seen = snapshot.instances.get(&instance.id).map(|report| &report.seen);
    let address = match seen {
        Some(Seen::Running { address, .. }) => Some(*address),
        _ => instance.address,
    };
    let last_exit = match seen {
        Some(Seen::Exited { exit }) => Some(exit.clone()),
        _ => None,
    };
    InstanceView {
        id: instance.id.clone(),
        app: instance.app.clone(),
        release: instance.release,
        node: instance.node.clone(),
        index: instance.index,
        want: instance.want,
        status,
        reason,
        address: address.map(|address| address.to_string()),
        last_exit,
    }
}

pub fn instance_state(snapshot: &Snapshot, instance: &Instance) -> InstanceState {
    let report = snapshot.instances.get(&instance.id);
    match instance.want {
        Want::Run => to_run(snapshot, instance, report),
        Want::Drain => match ended(snapshot, instance, report) {
            Some(state) => state,
            None => state(InstanceStatus::Draining, format!("finishes what it has in flight ({})", instance.reason)),
        },
        Want::Stop => to_stop(snapshot, instance, report),
    }
}

fn to_stop(snapshot: &Snapshot, instance: &Instance, report: Option<&InstanceReport>) -> InstanceState {
    if let Some(state) = ended(snapshot, instance, report) {
        return state;
    }
    match report.map(|report| &report.seen) {
        Some(Seen::Gone) => state(InstanceStatus::Stopped, format!("stopped ({})", instance.reason)),
        Some(Seen::Stopping) => state(InstanceStatus::Stopped, format!("got SIGTERM and is ending ({})", instance.reason)),
        _ => state(InstanceStatus::Stopped, format!("is about to be stopped ({})", instance.reason)),
    }
}

/// It ended without being asked to.
fn ended(snapshot: &Snapshot, instance: &Instance, report: Option<&InstanceReport>) -> Option<InstanceState> {
    let report = report?;
    match &report.seen {
        Seen::Exited { exit } => {
            let hint = misheard(snapshot, instance, &report.listening).map(|hint| format!("; it {hint}")).unwrap_or_default();
            let text = exit.describe(room::memory(snapshot, instance));
            Some(state(InstanceStatus::Failed, format!("{text}{hint}")))
        }
        Seen::Failed { why } => Some(state(InstanceStatus::Failed, why.clone())),
        Seen::Pending { .. } | Seen::Running { .. } | Seen::Stopping | Seen::Gone => None,
    }
}

fn to_run(snapshot: &Snapshot, instance: &Instance, report: Option<&InstanceReport>) -> InstanceState {
    let node = snapshot.nodes.get(&instance.node);
    if let Some(node) = node.filter(|node| node.status == NodeStatus::Lost) {
        return state(InstanceStatus::Lost, format!("node {} is lost: {}", instance.node, node.reason));
    }
    if let Some(state) = ended(snapshot, instance, report) {
        return state;
    }
    let Some(report) = report else { return unreported(instance) };
    match &report.seen {
        Seen::Pending { step } => state(InstanceStatus::Pending, step.clone()),
        Seen::Running { health, .. } => running(snapshot, instance, health, &report.listening),
        Seen::Stopping | Seen::Gone => state(InstanceStatus::Failed, "its container is gone"),
        Seen::Exited { .. } | Seen::Failed { .. } => unreported(instance),
    }
}

/// Unknown is not empty: what was healthy when last seen still counts as running.
fn unreported(instance: &Instance) -> InstanceState {
    match instance.proven {
        true => state(InstanceStatus::Running, format!("healthy when last seen; node {} has not reported since", instance.node)),
        false => state(InstanceStatus::Pending, format!("node {} has not taken it on yet", instance.node)),
    }
}

fn running(snapshot: &Snapshot, instance: &Instance, health: &Health, listening: &[SocketAddr]) -> InstanceState {
    let hint = misheard(snapshot, instance, listening).map(|hint| format!("; it {hint}")).unwrap_or_default();
    match health {
        Health::Unproven { .. } if instance.proven => {
            state(InstanceStatus::Running, "healthy when last seen; its agent has restarted and probes it again")
        }
        Health::Unproven { last } => {
            let last = last.as_ref().map(|last| format!(" ({last})")).unwrap_or_default();
            state(InstanceStatus::Starting, format!("waiting for {}{last}{hint}", check(snapshot, instance)))
        }
        Health::Healthy if snapshot.routed.contains(&instance.id) => state(InstanceStatus::Running, "takes traffic"),
        Health::Healthy => state(InstanceStatus::Starting, "healthy; waiting for the routers to confirm it"),
        Health::Unhealthy { last } => {
            state(InstanceStatus::Unhealthy, format!("{} fails: {last}{hint}", check(snapshot, instance)))
        }
    }
}

fn spec<'a>(snapshot: &'a Snapshot, instance: &Instance) -> Option<&'a RunSpec> {
    snapshot.desired.releases.get(&(instance.app.clone(), instance.release)).map(|release| &release.spec)
}

fn check(snapshot: &Snapshot, instance: &Instance) -> String {
    spec(snapshot, instance).map_or_else(|| "its health check".to_owned(), |spec| spec.health.describe(spec.port))
}

/// `listens on 127.0.0.1:5000; needs 0.0.0.0:8080`: what the process does instead of listening where it should.
fn misheard(snapshot: &Snapshot, instance: &Instance, listening: &[SocketAddr]) -> Option<String> {
    let port = spec(snapshot, instance)?.port;
    let reachable = |address: &SocketAddr| address.port() == port && !address.ip().is_loopback();
    if listening.is_empty() || listening.iter().any(reachable) {
        return None;
    }
    let heard: Vec<String> = listening.iter().map(SocketAddr::to_string).collect();
    Some(format!("listens on {}; needs 0.0.0.0:{port}", heard.join(", ")))
}
