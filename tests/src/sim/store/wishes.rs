//! What people ask for, by the rules of `store/src/intent.rs`.

use std::collections::BTreeMap;

use dinp_common::app::{App, AppKind, Backoff};
use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployPhase, DeployState, Strategy, Wanted};
use dinp_common::digest::{Digest, Image};
use dinp_common::health::HealthCheck;
use dinp_common::name::{AppName, NodeName, TeamName};
use dinp_common::placement::Placement;
use dinp_common::release::{Release, ReleaseNo, RunSpec};
use dinp_common::size::MiB;

use super::Store;
use crate::sim::kernel::Ms;

/// One wish for one app.
#[derive(Debug, Clone)]
pub enum Wish {
    /// A new release of an app, which is made if it does not exist.
    Release {
        instances: u32,
        memory: MiB,
        strategy: Strategy,
        stop_grace_seconds: u32,
    },
    Scale(u32),
    Restart,
    /// A new release equal to an old one.
    Rollback(ReleaseNo),
    Stop,
    Start,
    Delete,
}

impl Wish {
    fn kind(&self) -> DeployKind {
        match self {
            Self::Release { .. } => DeployKind::Release,
            Self::Scale(_) => DeployKind::Scale,
            Self::Restart => DeployKind::Restart,
            Self::Rollback(_) => DeployKind::Rollback,
            Self::Stop => DeployKind::Stop,
            Self::Start => DeployKind::Start,
            Self::Delete => DeployKind::Delete,
        }
    }
}

impl Store {
    /// Stores a wish and the deploy that carries it out; `None` where the API refuses it.
    pub fn begin(&mut self, name: &AppName, wish: &Wish, deadline_ms: Ms) -> Option<Deploy> {
        let wanted = |app: &App| Wanted { instances: app.instances, stopped: app.stopped };
        let wanted_before = self.tables.app(name).map(wanted);
        let app = self.wanted_app(name, wish)?;
        let before = self.newest.get(name).cloned();
        let number = DeployNo(before.as_ref().map_or(0, |deploy| deploy.number.0) + 1);
        let newest_generation = before.as_ref().map_or(0, |deploy| deploy.generation).max(app.generation);
        let generation = if matches!(wish, Wish::Restart) { newest_generation + 1 } else { app.generation };
        let before = before.filter(|deploy| deploy.state == DeployState::Running);
        let carried = before.clone().filter(|before| carries_on(wish, before));
        let to = match (wish, &carried) {
            (_, Some(before)) => before.to,
            (Wish::Release { memory, stop_grace_seconds, .. }, _) => Some(self.release_new(name, *memory, *stop_grace_seconds)),
            (Wish::Rollback(old), _) => Some(self.release_again(name, *old)?),
            (Wish::Scale(_) | Wish::Restart | Wish::Stop | Wish::Start | Wish::Delete, _) => app.live,
        };
        let strategy = match wish {
            Wish::Release { strategy, .. } => *strategy,
            _ => carried.as_ref().map_or(Strategy::Rolling, |before| before.strategy),
        };
        let generation = carried.as_ref().map_or(generation, |before| before.generation);
        let deploy =
            Deploy { before: wanted_before, ..running(&app, wish.kind(), number, to, generation, strategy, deadline_ms) };
        self.tables.deploys.retain(|other| other.app != *name);
        self.newest.insert(name.clone(), deploy.clone());
        let at = self.tables.deploys.partition_point(|other| other.app < *name);
        self.tables.deploys.insert(at, deploy.clone());
        Some(deploy)
    }

    pub fn cordon(&mut self, node: &NodeName, cordoned: bool) {
        if let Some(found) = self.tables.nodes.iter_mut().find(|other| other.name == *node) {
            found.cordoned = cordoned;
        }
    }

    /// The app as the wish leaves it, stored.
    fn wanted_app(&mut self, name: &AppName, wish: &Wish) -> Option<App> {
        let apps = &mut self.tables.apps;
        let at = match apps.binary_search_by(|app| app.name.cmp(name)) {
            Ok(at) => at,
            Err(at) if matches!(wish, Wish::Release { .. }) => {
                apps.insert(at, new_app(name));
                at
            }
            Err(_) => return None,
        };
        let app = &mut apps[at];
        let needs_live = matches!(wish, Wish::Scale(_) | Wish::Restart | Wish::Rollback(_) | Wish::Start);
        if app.deleted || (needs_live && app.live.is_none()) {
            return None;
        }
        app.revision += 1;
        match wish {
            Wish::Release { instances, .. } => (app.instances, app.stopped) = (*instances, false),
            Wish::Scale(instances) => app.instances = *instances,
            Wish::Stop => app.stopped = true,
            Wish::Start => app.stopped = false,
            Wish::Delete => app.deleted = true,
            Wish::Restart | Wish::Rollback(_) => {}
        }
        Some(app.clone())
    }

    fn release_new(&mut self, name: &AppName, memory: MiB, stop_grace_seconds: u32) -> ReleaseNo {
        let spec = RunSpec {
            image: Image { config: Digest::from_sha256([1; 32]), manifest: None, name: "image".into(), bytes: 0 },
            env: BTreeMap::new(),
            memory,
            cpu: None,
            placement: Placement::default(),
            port: 8080,
            health: HealthCheck::Tcp,
            command: None,
            stop_grace_seconds,
        };
        self.release_add(name, spec)
    }

    fn release_again(&mut self, name: &AppName, old: ReleaseNo) -> Option<ReleaseNo> {
        let spec = self.tables.releases.get(&(name.clone(), old))?.spec.clone();
        Some(self.release_add(name, spec))
    }

    fn release_add(&mut self, name: &AppName, spec: RunSpec) -> ReleaseNo {
        let all = (name.clone(), ReleaseNo(0))..=(name.clone(), ReleaseNo(u32::MAX));
        let last = self.tables.releases.range(all).next_back().map_or(0, |((_, number), _)| number.0);
        let number = ReleaseNo(last + 1);
        let (note, author, created_at) = (String::new(), String::new(), String::new());
        let release = Release { number, spec, note, build: None, author, created_at };
        self.tables.releases.insert((name.clone(), number), release);
        number
    }
}

/// A scale takes over what the deploy before it was doing.
fn carries_on(wish: &Wish, before: &Deploy) -> bool {
    let moves = matches!(before.kind, DeployKind::Release | DeployKind::Rollback | DeployKind::Restart | DeployKind::Scale);
    matches!(wish, Wish::Scale(_)) && moves
}

fn new_app(name: &AppName) -> App {
    App {
        name: name.clone(),
        team: TeamName::default_team(),
        kind: AppKind::Web,
        instances: 1,
        stopped: false,
        deleted: false,
        live: None,
        generation: 0,
        revision: 0,
        backoff: Backoff::default(),
        created_at: String::new(),
    }
}

fn running(
    app: &App,
    kind: DeployKind,
    number: DeployNo,
    to: Option<ReleaseNo>,
    generation: u32,
    strategy: Strategy,
    deadline_ms: Ms,
) -> Deploy {
    Deploy {
        app: app.name.clone(),
        number,
        kind,
        state: DeployState::Running,
        phase: DeployPhase::Rollout,
        strategy,
        from: app.live,
        before: None,
        to,
        generation,
        build: None,
        settings: Default::default(),
        spent_ms: 0,
        deadline_ms,
        failed_starts: 0,
        paused: None,
        paused_ms: 0,
        failure: None,
        note: String::new(),
        author: String::new(),
        created_at: String::new(),
    }
}
