//! One app: its status word, and why.

use dinp_common::api::{AppDetail, AppView, DeployView};
use dinp_common::app::{App, AppStatus};
use dinp_common::instance::InstanceStatus;
use dinp_common::release::Release;

use super::{count, instance_state, instance_view, instances_of};
use crate::cluster::Snapshot;

/// What the status is derived from.
struct Standing {
    wanted: u32,
    running: u32,
    /// What keeps the first instance that does not run from running.
    trouble: Option<String>,
    left: u32,
}

/// `live` is the app's live release, if any.
pub fn app_view(snapshot: &Snapshot, app: &App, live: Option<&Release>, last: Option<DeployView>, url: String) -> AppView {
    let standing = standing(snapshot, app);
    let (status, reason) = status(app, &standing, last.as_ref());
    AppView {
        name: app.name.clone(),
        team: app.team.clone(),
        kind: app.kind,
        status,
        reason,
        url,
        instances_wanted: standing.wanted,
        instances_running: standing.running,
        instances_when_started: app.instances,
        stopped: app.stopped,
        release: app.live,
        memory: live.map(|release| release.spec.memory),
        last_deploy: last,
        revision: app.revision,
        created_at: app.created_at.clone(),
    }
}

pub fn app_detail(snapshot: &Snapshot, app: &App, live: Option<&Release>, last: Option<DeployView>, url: String) -> AppDetail {
    let instances = instances_of(snapshot, &app.name).into_iter().map(|instance| instance_view(snapshot, instance)).collect();
    AppDetail {
        app: app_view(snapshot, app, live, last, url),
        instances,
        image: live.map(|release| release.spec.image.clone()),
        port: live.map(|release| release.spec.port),
        health: live.map(|release| release.spec.health.clone()),
        pace: app.pace,
    }
}

/// What still works while a deploy of this app has failed.
pub fn still(app: &App) -> String {
    match app.live {
        Some(_) if app.stopped => format!("{} stays stopped", app.name),
        Some(live) => format!("{live} still serves all traffic"),
        None => format!("nothing of {} ran before, so nothing changed for its users", app.name),
    }
}

fn standing(snapshot: &Snapshot, app: &App) -> Standing {
    let instances = instances_of(snapshot, &app.name);
    let states: Vec<_> = instances.iter().map(|instance| (&instance.id, instance_state(snapshot, instance))).collect();
    let running = states.iter().filter(|(_, state)| state.status == InstanceStatus::Running).count() as u32;
    let held = snapshot.holds.get(&app.name).and_then(|holds| holds.first().cloned());
    let ill = states.iter().find(|(_, state)| match state.status {
        InstanceStatus::Pending
        | InstanceStatus::Starting
        | InstanceStatus::Unhealthy
        | InstanceStatus::Failed
        | InstanceStatus::Lost => true,
        InstanceStatus::Running | InstanceStatus::Draining | InstanceStatus::Stopped => false,
    });
    let trouble = held.or_else(|| ill.map(|(id, state)| format!("{id}: {}", state.reason)));
    let wanted = if app.stopped || app.deleted { 0 } else { app.instances };
    Standing { wanted, running, trouble, left: instances.len() as u32 }
}

fn status(app: &App, standing: &Standing, last: Option<&DeployView>) -> (AppStatus, String) {
    let Standing { wanted, running, trouble, left } = standing;
    let because = trouble.as_ref().map(|trouble| format!("; {trouble}")).unwrap_or_default();
    if app.deleted {
        return (AppStatus::Deploying, format!("is being deleted; {} left", count(*left, "instance")));
    }
    if let Some(deploy) = last.filter(|deploy| !deploy.state.is_final()) {
        return (AppStatus::Deploying, format!("{}: {}", deploy.note, deploy.step));
    }
    if app.stopped {
        return (AppStatus::Stopped, format!("stopped; it starts again with {}", count(app.instances, "instance")));
    }
    let Some(live) = app.live else {
        let failed = last.and_then(|deploy| deploy.failure.as_ref()).map(|failure| format!(": {}", failure.why));
        return (AppStatus::Down, format!("no release of it has served yet{}", failed.unwrap_or_default()));
    };
    match (*running, *wanted) {
        (_, 0) => (AppStatus::Stopped, "scaled to 0 instances".to_owned()),
        (0, wanted) => (AppStatus::Down, format!("none of {} of {live} takes traffic{because}", count(wanted, "instance"))),
        (running, wanted) if running < wanted => {
            (AppStatus::Degraded, format!("{running} of {} of {live} take traffic{because}", count(wanted, "instance")))
        }
        (_, 1) => (AppStatus::Running, format!("1 instance of {live} takes traffic")),
        (_, wanted) => (AppStatus::Running, format!("all {wanted} instances of {live} take traffic")),
    }
}
