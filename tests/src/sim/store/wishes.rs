//! What people ask for, by the rules of `store/src/intent.rs`.

use dinp_common::api::Settings;
use dinp_common::app::App;
use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployPhase, DeployState, Strategy, Wanted};
use dinp_common::name::AppName;
use dinp_common::pace::Pace;
use dinp_common::release::{Release, ReleaseNo, RunSpec};

use super::Store;
use crate::sim::kernel::Ms;

/// One wish for one app.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is never kept")]
pub enum Wish {
    /// A new release of an app, which is made if it does not exist.
    Release {
        instances: u32,
        spec: RunSpec,
        strategy: Strategy,
        /// It is built first.
        built: bool,
        /// How the app is replaced from now on, where it says something.
        pace: Pace,
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

    fn settings(&self) -> Settings {
        match self {
            Self::Release { pace: Pace { max_surge, max_unavailable }, .. } => {
                Settings { max_surge: *max_surge, max_unavailable: *max_unavailable, ..Settings::default() }
            }
            Self::Scale(_) | Self::Restart | Self::Rollback(_) | Self::Stop | Self::Start | Self::Delete => Settings::default(),
        }
    }
}

impl Store {
    /// Stores a wish and the deploy that carries it out; `None` where the API refuses it.
    pub fn begin(&mut self, name: &AppName, wish: &Wish, deadline_ms: Ms) -> Option<Deploy> {
        let (app, wanted) = self.wanted_app(name, wish)?;
        let before = self.newest(name).cloned();
        let number = DeployNo(before.as_ref().map_or(0, |deploy| deploy.number.0) + 1);
        let newest_generation = before.as_ref().map_or(0, |deploy| deploy.generation).max(app.generation);
        let generation = if matches!(wish, Wish::Restart) { newest_generation + 1 } else { app.generation };
        let before = before.filter(|deploy| deploy.state == DeployState::Running);
        if let Some(carried) = before.as_ref().filter(|before| carries_on(wish, before)) {
            let fresh = Deploy { number, kind: wish.kind(), spent_ms: 0, paused_ms: 0, deadline_ms, ..carried.clone() };
            return Some(self.insert(fresh));
        }
        let (to, build) = match wish {
            Wish::Release { spec, built: false, .. } => (Some(self.release_add(name, spec.clone())), None),
            Wish::Release { built: true, .. } => (None, Some(self.build_new())),
            Wish::Rollback(old) => (Some(self.release_again(name, *old)?), None),
            Wish::Scale(_) | Wish::Restart | Wish::Stop | Wish::Start | Wish::Delete => (app.live, None),
        };
        let deploy = Deploy {
            app: app.name,
            number,
            kind: wish.kind(),
            state: DeployState::Running,
            phase: if build.is_some() { DeployPhase::Build } else { DeployPhase::Rollout },
            strategy: if let Wish::Release { strategy, .. } = wish { *strategy } else { Strategy::Rolling },
            from: app.live,
            before: before.map_or(wanted, |before| before.before),
            to,
            generation,
            build,
            settings: wish.settings(),
            spent_ms: 0,
            deadline_ms,
            failed_starts: 0,
            paused: None,
            paused_ms: 0,
            failure: None,
            note: String::new(),
            author: String::new(),
            created_at: String::new(),
        };
        Some(self.insert(deploy))
    }

    fn insert(&mut self, deploy: Deploy) -> Deploy {
        let name = &deploy.app;
        self.tables.deploys.retain(|other| other.app != *name);
        let at = self.tables.deploys.partition_point(|other| other.app < *name);
        self.tables.deploys.insert(at, deploy.clone());
        self.history_trim(name);
        deploy
    }

    /// The app as the wish leaves it, stored; and what was wanted of it before.
    fn wanted_app(&mut self, name: &AppName, wish: &Wish) -> Option<(App, Option<Wanted>)> {
        if let Wish::Rollback(old) = wish {
            self.tables.releases.get(&(name.clone(), *old))?;
        }
        let apps = &mut self.tables.apps;
        let known = apps.binary_search_by(|app| app.name.cmp(name)).is_ok();
        let at = match apps.binary_search_by(|app| app.name.cmp(name)) {
            Ok(at) => at,
            Err(at) if matches!(wish, Wish::Release { .. }) => {
                apps.insert(at, App::new(name.clone(), String::new()));
                at
            }
            Err(_) => return None,
        };
        let app = &mut apps[at];
        let needs_live = matches!(wish, Wish::Scale(_) | Wish::Restart | Wish::Rollback(_) | Wish::Start);
        if app.deleted || (needs_live && app.live.is_none()) {
            return None;
        }
        let before = known.then_some(Wanted { instances: app.instances, stopped: app.stopped });
        app.revision += 1;
        app.pace = app.pace.with(wish.settings().pace());
        match wish {
            Wish::Release { instances, .. } => (app.instances, app.stopped) = (*instances, false),
            Wish::Scale(instances) => app.instances = *instances,
            Wish::Stop => app.stopped = true,
            Wish::Start => app.stopped = false,
            Wish::Delete => app.deleted = true,
            Wish::Restart | Wish::Rollback(_) => {}
        }
        Some((app.clone(), before))
    }

    fn release_again(&mut self, name: &AppName, old: ReleaseNo) -> Option<ReleaseNo> {
        let spec = self.tables.releases.get(&(name.clone(), old))?.spec.clone();
        Some(self.release_add(name, spec))
    }

    pub(super) fn release_add(&mut self, name: &AppName, spec: RunSpec) -> ReleaseNo {
        let all = (name.clone(), ReleaseNo(0))..=(name.clone(), ReleaseNo(u32::MAX));
        let last = self.tables.releases.range(all).next_back().map_or(0, |((_, number), _)| number.0);
        let number = ReleaseNo(last + 1);
        let (note, author, created_at) = (String::new(), String::new(), String::new());
        let release = Release { number, spec, note, build: None, author, created_at };
        self.tables.releases.insert((name.clone(), number), release);
        number
    }
}

/// A scale takes over what the deploy before it was doing, unless people hold that back.
fn carries_on(wish: &Wish, before: &Deploy) -> bool {
    let moves = matches!(before.kind, DeployKind::Release | DeployKind::Rollback | DeployKind::Restart | DeployKind::Scale);
    matches!(wish, Wish::Scale(_)) && moves && before.paused.is_none()
}
