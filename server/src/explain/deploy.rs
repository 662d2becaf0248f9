//! One deploy: how far it is, and what it waits for just now.

use dinp_common::api::{BuildView, DeployView};
use dinp_common::app::App;
use dinp_common::build::BuildState;
use dinp_common::deploy::{Deploy, DeployKind, DeployPhase, DeployState};
use dinp_common::instance::{Instance, InstanceStatus, Want};
use dinp_common::placement::Placement;
use dinp_common::release::RunSpec;

use super::{count, instance_state, instances_of};
use crate::cluster::Snapshot;
use crate::room::{self, Needs};

/// What is known of a deploy beside its own record.
#[derive(Debug)]
pub struct Told<'a> {
    pub snapshot: &'a Snapshot,
    /// `None` once the app is gone.
    pub app: Option<&'a App>,
    pub build: Option<BuildView>,
    /// It is the app's newest deploy, so the instances of today are its own.
    pub newest: bool,
    pub url: String,
}

struct Progress {
    ready: u32,
    wanted: u32,
    draining: u32,
    /// Instances that are neither new nor gone.
    old: u32,
    /// Why the first new instance that does not serve yet does not.
    waiting: Option<String>,
    placed: u32,
}

pub fn deploy_view(deploy: &Deploy, told: Told<'_>) -> DeployView {
    let progress = progress(deploy, &told);
    let step = step(deploy, &told, &progress);
    let warnings = warnings(deploy, &told);
    DeployView {
        app: deploy.app.clone(),
        number: deploy.number,
        kind: deploy.kind,
        state: deploy.state,
        phase: deploy.phase,
        strategy: deploy.strategy,
        note: deploy.note.clone(),
        author: deploy.author.clone(),
        from: deploy.from,
        to: deploy.to,
        build: told.build,
        ready: progress.ready,
        wanted: progress.wanted,
        draining: progress.draining,
        step,
        paused: deploy.paused.clone().filter(|_| !deploy.state.is_final()),
        warnings,
        spent_ms: deploy.spent_ms,
        deadline_ms: deploy.deadline_ms,
        failure: deploy.failure.clone(),
        url: told.url,
        created_at: deploy.created_at.clone(),
    }
}

/// What keeps a running deploy waiting whatever happens to the nodes that are.
fn warnings(deploy: &Deploy, told: &Told<'_>) -> Vec<String> {
    let Some(app) = told.app.filter(|app| !deploy.state.is_final() && !app.stopped && !app.deleted) else { return Vec::new() };
    let releases = &told.snapshot.desired.releases;
    let spec = |release| releases.get(&(app.name.clone(), release)).map(|release| &release.spec);
    let (to, base) = (deploy.to.or(app.live.filter(|_| deploy.build.is_none())).and_then(spec), app.live.and_then(spec));
    let settings = &deploy.settings;
    // Before its build is done, a deploy's release is what its settings make of the live one.
    let anywhere = Placement::default();
    let asked = settings.placement.as_ref().or(base.map(|base| &base.placement)).unwrap_or(&anywhere);
    let memory = settings.memory.or(base.map(|base| base.memory)).unwrap_or(RunSpec::DEFAULT_MEMORY);
    let needs = Needs {
        instances: settings.instances.unwrap_or(app.instances),
        memory: to.map_or(memory, |to| to.memory),
        cpu: to.map_or(settings.cpu.or(base.and_then(|base| base.cpu)), |to| to.cpu),
        placement: to.map_or(asked, |to| &to.placement),
    };
    room::warnings(told.snapshot, &needs)
}

fn progress(deploy: &Deploy, told: &Told<'_>) -> Progress {
    let ends = matches!(deploy.kind, DeployKind::Stop | DeployKind::Delete);
    let wanted = match told.app {
        Some(app) if !ends => deploy.settings.instances.unwrap_or(app.instances),
        Some(_) | None => 0,
    };
    let mut progress = Progress { ready: 0, wanted, draining: 0, old: 0, waiting: None, placed: 0 };
    if !told.newest {
        return Progress { wanted: 0, ..progress };
    }
    for instance in instances_of(told.snapshot, &deploy.app) {
        let state = instance_state(told.snapshot, instance);
        progress.draining += u32::from(state.status == InstanceStatus::Draining);
        if !is_new(deploy, instance) {
            progress.old += u32::from(!matches!(state.status, InstanceStatus::Stopped | InstanceStatus::Failed));
            continue;
        }
        progress.placed += 1;
        if state.status == InstanceStatus::Running {
            progress.ready += 1;
        } else if progress.waiting.is_none() {
            progress.waiting = Some(format!("{} on {}: {}", instance.id, instance.node, state.reason));
        }
    }
    progress.ready = progress.ready.min(progress.wanted);
    progress
}

/// It belongs to what the deploy leads to.
fn is_new(deploy: &Deploy, instance: &Instance) -> bool {
    instance.want == Want::Run && Some(instance.release) == deploy.to && instance.generation >= deploy.generation
}

fn step(deploy: &Deploy, told: &Told<'_>, progress: &Progress) -> String {
    match deploy.state {
        DeployState::Running if deploy.paused.is_some() => held(deploy, progress),
        DeployState::Running => match deploy.phase {
            DeployPhase::Build => building(told.build.as_ref()),
            DeployPhase::Rollout => rolling(deploy, told.snapshot, progress),
        },
        DeployState::Succeeded if progress.draining > 0 => {
            let old = deploy.from.map_or_else(|| "old".to_owned(), |from| from.to_string());
            format!("done; still finishing what it has in flight: {} of {old}", count(progress.draining, "instance"))
        }
        DeployState::Succeeded => "done".to_owned(),
        DeployState::Failed => deploy.failure.as_ref().map_or_else(|| "failed".to_owned(), |failure| failure.why.clone()),
        DeployState::Cancelled => cancelled(deploy, told, progress),
        DeployState::Superseded => "replaced by a later change".to_owned(),
    }
}

fn held(deploy: &Deploy, progress: &Progress) -> String {
    let why = deploy.paused.as_deref().unwrap_or_default();
    match deploy.phase {
        DeployPhase::Build => format!("{why}; the build goes on, and nothing starts until it is resumed"),
        DeployPhase::Rollout => {
            format!("{why}; {} of {} are ready, and nothing moves until it is resumed", progress.ready, progress.wanted)
        }
    }
}

fn cancelled(deploy: &Deploy, told: &Told<'_>, progress: &Progress) -> String {
    let returns = deploy.from.filter(|_| progress.placed > 0 && deploy.from != deploy.to);
    match (returns, told.app.filter(|_| told.newest)) {
        (Some(from), _) => format!("cancelled; {from} takes all traffic again as soon as it is back at full strength"),
        (None, Some(app)) => format!("cancelled; {}", super::still(app)),
        (None, None) => "cancelled".to_owned(),
    }
}

fn building(build: Option<&BuildView>) -> String {
    match build.map(|build| build.state) {
        Some(BuildState::Queued) => "waiting for a builder",
        Some(BuildState::Running) => "building the image",
        Some(BuildState::Succeeded) => "the image is built",
        Some(BuildState::Failed) => "the build failed",
        None => "waiting for its build",
    }
    .to_owned()
}

fn rolling(deploy: &Deploy, snapshot: &Snapshot, progress: &Progress) -> String {
    if let Some(held) = snapshot.holds.get(&deploy.app).filter(|holds| !holds.is_empty()) {
        return held.join("; ");
    }
    match deploy.kind {
        DeployKind::Stop | DeployKind::Delete if progress.old > 0 => format!("{} still to stop", count(progress.old, "instance")),
        DeployKind::Stop | DeployKind::Delete => "waiting for every node to confirm that nothing is left".to_owned(),
        DeployKind::Release | DeployKind::Scale | DeployKind::Restart | DeployKind::Rollback | DeployKind::Start => {
            match &progress.waiting {
                Some(waiting) => waiting.clone(),
                None if progress.placed < progress.wanted => "the next instance is being placed".to_owned(),
                None if progress.old > 0 => "old instances leave the routes".to_owned(),
                None => "waiting for the routers to confirm".to_owned(),
            }
        }
    }
}
