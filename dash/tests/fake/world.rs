//! What the fake API knows, and how a deploy goes through it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dinp_common::api::{AppDetail, AppView, BuildView, DeployView, InstanceView, ReleaseView, WatchEvent};
use dinp_common::app::{AppKind, AppStatus};
use dinp_common::build::{BuildId, BuildState};
use dinp_common::deploy::{Cause, DeployKind, DeployNo, DeployPhase, DeployState, Failure, Strategy};
use dinp_common::digest::{Digest, Image};
use dinp_common::event::{Event, Severity};
use dinp_common::health::HealthCheck;
use dinp_common::instance::{InstanceId, InstanceStatus, Want};
use dinp_common::kind::Kind;
use dinp_common::name::{AppName, NodeName, TeamName};
use dinp_common::release::ReleaseNo;
use dinp_common::size::MiB;
use dinp_common::token::{Token, TokenKind};
use jiff::Timestamp;
use tokio::sync::broadcast;

/// Time between two steps of a deploy.
#[derive(Clone, Copy)]
pub struct Pace(pub Duration);

pub struct App {
    pub detail: AppDetail,
    pub deploys: Vec<DeployView>,
    pub releases: Vec<ReleaseView>,
}

pub struct State {
    pub apps: BTreeMap<AppName, App>,
    pub events: Vec<Event>,
    pub builds: BTreeMap<u32, Vec<String>>,
    /// One-time links and sessions that work.
    pub tokens: Vec<String>,
    next_instance: u64,
}

#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    pub changes: broadcast::Sender<WatchEvent>,
    pace: Pace,
}

impl World {
    pub fn new(pace: Pace) -> Self {
        let state =
            State { apps: BTreeMap::new(), events: Vec::new(), builds: BTreeMap::new(), tokens: Vec::new(), next_instance: 1 };
        Self { state: Arc::new(Mutex::new(state)), changes: broadcast::channel(256).0, pace }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panicked with the lock")
    }

    /// A token of `kind` that works. `seed` tells them apart.
    pub fn token(&self, kind: TokenKind, seed: u8) -> String {
        let token = Token::from_random(kind, [seed; 32]).expose().to_owned();
        self.lock().tokens.push(token.clone());
        token
    }

    fn now() -> String {
        Timestamp::now().to_string()
    }

    pub fn event(&self, app: &AppName, severity: Severity, kind: &str, text: impl Into<String>) {
        let mut state = self.lock();
        let event = Event {
            id: state.events.len() as u64 + 1,
            at: Self::now(),
            severity,
            kind: kind.to_owned(),
            app: Some(app.to_string()),
            instance: None,
            node: Some("node-1".to_owned()),
            actor: "admin".to_owned(),
            text: text.into(),
            detail: None,
        };
        state.events.push(event.clone());
        drop(state);
        let _ = self.changes.send(WatchEvent::Event { event });
    }

    fn changed(&self, app: &AppName) {
        let _ = self.changes.send(WatchEvent::App { app: app.to_string() });
    }

    /// An app that runs `instances` of its first release.
    pub fn run_app(&self, name: &str, instances: u32) -> AppName {
        let app = AppName::parse(name).expect("a name");
        self.lock().apps.insert(app.clone(), empty_app(&app));
        self.release(&app, &format!("deploy of {name}"), None);
        self.settle(&app, instances);
        self.finish(&app, None);
        app
    }

    /// Makes a release the live one, as yet without instances.
    fn release(&self, app: &AppName, note: &str, build: Option<BuildId>) -> ReleaseNo {
        let mut state = self.lock();
        let own = state.apps.get_mut(app).expect("the app");
        let number = ReleaseNo(own.releases.len() as u32 + 1);
        for release in &mut own.releases {
            release.live = false;
        }
        let byte = u8::try_from(number.0 % 200).expect("a byte");
        let image = Image {
            config: Digest::from_sha256([byte; 32]),
            manifest: None,
            name: format!("default/{app}:b{}", number.0),
            bytes: 5_200_000 + u64::from(number.0) * 1000,
        };
        let release = ReleaseView {
            number,
            note: note.to_owned(),
            author: "admin".to_owned(),
            created_at: Self::now(),
            image: image.clone(),
            build,
            memory: MiB(256),
            cpu: None,
            placement: Default::default(),
            port: 8080,
            health: HealthCheck::Http { path: "/health".to_owned() },
            env: vec!["LOG_LEVEL".to_owned()],
            live: true,
            kept: true,
        };
        own.detail.image = Some(image);
        own.detail.port = Some(8080);
        own.detail.health = Some(release.health.clone());
        own.detail.app.memory = Some(MiB(256));
        own.detail.app.release = Some(number);
        own.releases.insert(0, release);
        let oldest_kept = own.releases.len().min(5);
        for release in own.releases.iter_mut().skip(oldest_kept) {
            release.kept = false;
        }
        number
    }

    /// Exactly `count` instances of the live release, all running.
    pub fn settle(&self, app: &AppName, count: u32) {
        let mut state = self.lock();
        let mut next = state.next_instance;
        let own = state.apps.get_mut(app).expect("the app");
        let release = own.detail.app.release.expect("a release");
        own.detail.instances.retain(|instance| instance.release == release);
        own.detail.instances.truncate(count as usize);
        while own.detail.instances.len() < count as usize {
            let index = own.detail.instances.len() as u32;
            own.detail.instances.push(instance(app, release, next, index));
            next += 1;
        }
        for instance in &mut own.detail.instances {
            instance.status = InstanceStatus::Running;
            instance.reason = "passes GET :8080/health".to_owned();
        }
        let view = &mut own.detail.app;
        (view.instances_running, view.instances_wanted, view.instances_when_started) = (count, count, count.max(1));
        state.next_instance = next;
    }

    fn finish(&self, app: &AppName, number: Option<DeployNo>) {
        let mut state = self.lock();
        let own = state.apps.get_mut(app).expect("the app");
        let stopped = own.detail.app.stopped;
        own.detail.app.status = if stopped { AppStatus::Stopped } else { AppStatus::Running };
        own.detail.app.reason = String::new();
        let release = own.detail.app.release;
        if let Some(deploy) = number.and_then(|number| own.deploys.iter_mut().find(|deploy| deploy.number == number)) {
            deploy.state = DeployState::Succeeded;
            deploy.to = deploy.to.or(release);
            deploy.ready = deploy.wanted;
            deploy.step = String::new();
        }
        own.detail.app.last_deploy = own.deploys.first().cloned();
        drop(state);
        self.changed(app);
    }

    /// Begins a deploy; the rest goes on by itself.
    pub fn begin(&self, app: &AppName, kind: DeployKind, note: &str, build: Option<BuildView>) -> DeployView {
        let mut state = self.lock();
        let own = state.apps.entry(app.clone()).or_insert_with(|| empty_app(app));
        let number = DeployNo(own.deploys.len() as u32 + 1);
        let view = &mut own.detail.app;
        view.status = AppStatus::Deploying;
        let deploy = DeployView {
            app: app.clone(),
            number,
            kind,
            state: DeployState::Running,
            phase: if build.is_some() { DeployPhase::Build } else { DeployPhase::Rollout },
            strategy: Strategy::Rolling,
            note: note.to_owned(),
            author: "admin".to_owned(),
            from: view.release,
            to: if build.is_some() { None } else { view.release },
            build,
            ready: 0,
            wanted: view.instances_wanted.max(1),
            draining: 0,
            step: String::new(),
            paused: None,
            warnings: Vec::new(),
            spent_ms: 0,
            deadline_ms: 300_000,
            failure: None,
            url: view.url.clone(),
            created_at: Self::now(),
        };
        own.deploys.insert(0, deploy.clone());
        own.detail.app.last_deploy = Some(deploy.clone());
        drop(state);
        self.changed(app);
        let _ = self.changes.send(WatchEvent::Lists);
        deploy
    }

    fn edit(&self, app: &AppName, number: DeployNo, change: impl FnOnce(&mut DeployView)) {
        let mut state = self.lock();
        let own = state.apps.get_mut(app).expect("the app");
        let deploy = own.deploys.iter_mut().find(|deploy| deploy.number == number).expect("the deploy");
        change(deploy);
        deploy.spent_ms += 400;
        own.detail.app.last_deploy = own.deploys.first().cloned();
        drop(state);
        self.changed(app);
    }

    async fn step(&self) {
        tokio::time::sleep(self.pace.0).await;
    }

    /// Goes through a deploy of an artifact. One whose name says `broken` never becomes healthy.
    pub async fn build_and_roll_out(self, app: AppName, number: DeployNo, file: String) {
        let build = number.0 + 100;
        for line in ["reading the artifact", "one Linux executable, x86-64, statically linked", "one layer on base debian"] {
            self.lock().builds.entry(build).or_default().push(line.to_owned());
            self.step().await;
        }
        self.edit(&app, number, |deploy| {
            let view = deploy.build.as_mut().expect("a build");
            view.kind = Some(Kind::Binary);
            view.state = BuildState::Running;
        });
        self.step().await;
        self.lock().builds.entry(build).or_default().push("image loaded".to_owned());
        let from = self.lock().apps[&app].detail.app.release;
        if file.contains("broken") {
            return self.fail(&app, number, from);
        }
        let to = self.release(&app, &format!("deploy of {file}"), Some(BuildId(build)));
        self.edit(&app, number, |deploy| {
            deploy.phase = DeployPhase::Rollout;
            deploy.to = Some(to);
            deploy.step = "waiting for GET :8080/health (connection refused)".to_owned();
            let view = deploy.build.as_mut().expect("a build");
            view.state = BuildState::Succeeded;
            view.dockerfile = Some("FROM dinp/base-debian\nCOPY app /app/app\nCMD [\"/app/app\"]\n".to_owned());
        });
        let wanted = self.lock().apps[&app].detail.app.instances_wanted.max(1);
        self.roll_out(app, number, wanted).await;
    }

    fn fail(&self, app: &AppName, number: DeployNo, from: Option<ReleaseNo>) {
        self.edit(app, number, |deploy| {
            deploy.state = DeployState::Failed;
            deploy.phase = DeployPhase::Rollout;
            deploy.failure = Some(Failure {
                cause: Cause::WrongAddress,
                why: "The process listens on 127.0.0.1:5000; needs 0.0.0.0:8080.".to_owned(),
                now: from.map(|release| format!("{release} still serves all traffic.")).unwrap_or_default(),
                fix: "Listen on 0.0.0.0 and on the port in $PORT.".to_owned(),
                output: Some("starting\nlistening on 127.0.0.1:5000\n".to_owned()),
            });
        });
        let mut state = self.lock();
        let view = &mut state.apps.get_mut(app).expect("the app").detail.app;
        view.status = if view.instances_running > 0 { AppStatus::Running } else { AppStatus::Down };
        view.reason = "its only deploy failed".to_owned();
        drop(state);
        self.event(app, Severity::Error, "deploy_failed", format!("Deploy {number} failed: it listens on the wrong address"));
        self.changed(app);
    }

    /// Starts `count` instances, shows them start, and ends the deploy.
    pub async fn roll_out(self, app: AppName, number: DeployNo, count: u32) {
        {
            let mut state = self.lock();
            let mut next = state.next_instance;
            let own = state.apps.get_mut(&app).expect("the app");
            let release = own.detail.app.release.expect("a release");
            let have = own.detail.instances.iter().filter(|instance| instance.release == release).count() as u32;
            for index in have..count {
                own.detail.instances.push(instance(&app, release, next, index));
                next += 1;
            }
            own.detail.app.instances_wanted = count;
            state.next_instance = next;
        }
        self.edit(&app, number, |deploy| deploy.wanted = count);
        self.step().await;
        self.settle(&app, count);
        self.edit(&app, number, |deploy| deploy.ready = count);
        self.step().await;
        self.finish(&app, Some(number));
        self.event(&app, Severity::Info, "deploy_succeeded", format!("Deploy {number} succeeded: {count} running and routed"));
    }

    /// Ends all instances; a deleted app goes with them.
    pub async fn wind_down(self, app: AppName, number: DeployNo, delete: bool) {
        self.step().await;
        self.settle(&app, 0);
        self.lock().apps.get_mut(&app).expect("the app").detail.app.stopped = true;
        self.finish(&app, Some(number));
        if delete {
            self.step().await;
            self.lock().apps.remove(&app);
            let _ = self.changes.send(WatchEvent::Lists);
            self.changed(&app);
        }
    }
}

fn empty_app(app: &AppName) -> App {
    let view = AppView {
        name: app.clone(),
        team: TeamName::default_team(),
        kind: AppKind::Web,
        status: AppStatus::Deploying,
        reason: "its first deploy is under way".to_owned(),
        url: format!("http://{app}.localhost:8080"),
        instances_wanted: 1,
        instances_running: 0,
        instances_when_started: 1,
        stopped: false,
        release: None,
        memory: None,
        last_deploy: None,
        revision: 1,
        created_at: World::now(),
    };
    let detail = AppDetail { app: view, instances: Vec::new(), image: None, port: None, health: None, pace: Default::default() };
    App { detail, deploys: Vec::new(), releases: Vec::new() }
}

fn instance(app: &AppName, release: ReleaseNo, sequence: u64, index: u32) -> InstanceView {
    InstanceView {
        id: InstanceId::from_sequence(sequence),
        app: app.clone(),
        release,
        node: NodeName::parse("node-1").expect("a name"),
        index,
        want: Want::Run,
        status: InstanceStatus::Starting,
        reason: "waiting for GET :8080/health (connection refused)".to_owned(),
        address: Some(format!("10.83.0.{}:8080", 10 + index)),
        last_exit: None,
    }
}
