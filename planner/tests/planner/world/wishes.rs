//! What people ask for, as the API and the store write it down.

use std::collections::BTreeMap;

use dinp_common::app::App;
use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployPhase, DeployState, Strategy, Wanted};
use dinp_common::digest::{Digest, Image};
use dinp_common::health::HealthCheck;
use dinp_common::name::{AppName, NodeName};
use dinp_common::pace::Pace;
use dinp_common::plan::Change;
use dinp_common::rebalance::Rebalance;
use dinp_common::release::{Release, ReleaseNo, RunSpec};
use dinp_common::size::MiB;
use dinp_planner::apply::apply;

use super::{Behaviour, World};

impl World {
    /// A deploy of a new release.
    pub fn deploy(&mut self, name: &AppName, instances: u32, memory: MiB, behaviour: Behaviour, strategy: Strategy) -> DeployNo {
        self.ensure_app(name);
        let release = self.release(name, memory, behaviour);
        let change = |app: &mut App| (app.instances, app.stopped) = (instances, false);
        self.begin(name, DeployKind::Release, Some(release), strategy, change)
    }

    /// A deploy that a builder has to make the image of first.
    pub fn build(&mut self, name: &AppName, instances: u32) -> DeployNo {
        self.ensure_app(name);
        let change = |app: &mut App| (app.instances, app.stopped) = (instances, false);
        let number = self.begin(name, DeployKind::Release, None, Strategy::Rolling, change);
        let deploy = self.desired.deploys.iter_mut().find(|deploy| deploy.app == *name).expect("begun");
        (deploy.phase, deploy.to) = (DeployPhase::Build, None);
        number
    }

    /// The builder has finished; the store gives the rollout its own time.
    pub fn built(&mut self, name: &AppName, memory: MiB, behaviour: Behaviour) {
        let release = self.release(name, memory, behaviour);
        if let Some(deploy) = self.desired.deploys.iter_mut().find(|deploy| deploy.app == *name) {
            (deploy.phase, deploy.to) = (DeployPhase::Rollout, Some(release));
            deploy.deadline_ms += deploy.spent_ms;
        }
    }

    pub fn rollback(&mut self, name: &AppName, to: ReleaseNo) -> DeployNo {
        let old = &self.desired.releases[&(name.clone(), to)];
        let (memory, behaviour) = (old.spec.memory, self.behaviours[&(name.clone(), to)].clone());
        let release = self.release(name, memory, behaviour);
        self.begin(name, DeployKind::Rollback, Some(release), Strategy::Rolling, |_| ())
    }

    pub fn scale(&mut self, name: &AppName, instances: u32) -> DeployNo {
        self.begin(name, DeployKind::Scale, None, Strategy::Rolling, |app| app.instances = instances)
    }

    pub fn restart(&mut self, name: &AppName) -> DeployNo {
        let number = self.begin(name, DeployKind::Restart, None, Strategy::Rolling, |_| ());
        self.desired.deploys.iter_mut().filter(|deploy| deploy.app == *name).for_each(|deploy| deploy.generation += 1);
        number
    }

    pub fn stop(&mut self, name: &AppName) -> DeployNo {
        self.begin(name, DeployKind::Stop, None, Strategy::Rolling, |app| app.stopped = true)
    }

    pub fn start(&mut self, name: &AppName) -> DeployNo {
        self.begin(name, DeployKind::Start, None, Strategy::Rolling, |app| app.stopped = false)
    }

    pub fn delete(&mut self, name: &AppName) -> DeployNo {
        self.begin(name, DeployKind::Delete, None, Strategy::Rolling, |app| app.deleted = true)
    }

    /// What the app's next release asks of its nodes.
    pub fn asks(&mut self, name: &AppName) -> &mut RunSpec {
        self.asks.entry(name.clone()).or_insert_with(|| spec(MiB(0)))
    }

    /// Ends the app's deploy as the store does when people cancel it; `false` if none is under way.
    pub fn cancel(&mut self, name: &AppName) -> bool {
        let Some(deploy) = self.desired.deploy(name).map(|deploy| deploy.number) else { return false };
        let finish = Change::Finish { app: name.clone(), deploy, state: DeployState::Cancelled, failure: None };
        apply(&mut self.desired, &[finish]);
        self.finished.push((name.clone(), deploy, DeployState::Cancelled, None));
        true
    }

    /// Holds the app's deploy back, or lets it go on.
    pub fn pause(&mut self, name: &AppName, paused: Option<&str>) {
        if let Some(deploy) = self.desired.deploys.iter_mut().find(|deploy| deploy.app == *name) {
            deploy.paused = paused.map(str::to_owned);
        }
    }

    /// How the app's instances are replaced from now on.
    pub fn pace(&mut self, name: &AppName, pace: Pace) {
        self.ensure_app(name);
        self.desired.apps.iter_mut().filter(|app| app.name == *name).for_each(|app| app.pace = pace);
    }

    pub fn use_node(&mut self, name: &NodeName, cordoned: bool, draining: bool) {
        let node = self.desired.nodes.iter_mut().find(|node| node.name == *name).expect("node");
        (node.cordoned, node.draining) = (cordoned, draining);
    }

    /// As the store writes it where none goes on.
    pub fn rebalance(&mut self) {
        if self.desired.rebalancing().is_none() {
            let number = self.desired.rebalance.as_ref().map_or(1, |last| last.number + 1);
            self.desired.rebalance = Some(Rebalance::new(number, "ann"));
        }
    }

    pub fn cancel_rebalance(&mut self) {
        if let Some(running) = self.desired.rebalance.take_if(|last| last.ended.is_none()) {
            self.desired.rebalance = Some(running.cancelled("ann"));
        }
    }

    fn release(&mut self, name: &AppName, memory: MiB, behaviour: Behaviour) -> ReleaseNo {
        let last = self.desired.releases.keys().filter(|(app, _)| app == name).map(|(_, number)| number.0).max();
        let number = ReleaseNo(last.unwrap_or(0) + 1);
        self.behaviours.insert((name.clone(), number), behaviour);
        let release = Release {
            number,
            spec: RunSpec { memory, ..self.asks.get(name).cloned().unwrap_or_else(|| spec(memory)) },
            note: "test".into(),
            build: None,
            author: "test".into(),
            created_at: String::new(),
        };
        self.desired.releases.insert((name.clone(), number), release);
        number
    }

    fn ensure_app(&mut self, name: &AppName) {
        if self.desired.app(name).is_none() {
            self.desired.apps.push(App { revision: 1, ..App::new(name.clone(), String::new()) });
            self.desired.apps.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }

    fn begin(
        &mut self,
        name: &AppName,
        kind: DeployKind,
        to: Option<ReleaseNo>,
        strategy: Strategy,
        change: impl FnOnce(&mut App),
    ) -> DeployNo {
        let app = self.desired.apps.iter_mut().find(|app| app.name == *name).expect("app");
        let now = Wanted { instances: app.instances, stopped: app.stopped };
        change(app);
        let app = app.clone();
        let before = match self.desired.deploy(name) {
            Some(running) => running.before,
            None => self.deploys.contains_key(name).then_some(now),
        };
        for old in self.desired.deploys.iter().filter(|deploy| deploy.app == *name) {
            self.finished.push((name.clone(), old.number, DeployState::Superseded, None));
        }
        self.desired.deploys.retain(|deploy| deploy.app != *name);
        let last = self.deploys.entry(name.clone()).or_default();
        *last += 1;
        let number = DeployNo(*last);
        self.desired.deploys.push(Deploy {
            app: name.clone(),
            number,
            kind,
            state: DeployState::Running,
            phase: DeployPhase::Rollout,
            strategy,
            from: app.live,
            before,
            to: to.or(app.live),
            generation: app.generation,
            build: None,
            settings: Default::default(),
            spent_ms: 0,
            deadline_ms: 300_000,
            failed_starts: 0,
            paused: None,
            paused_ms: 0,
            failure: None,
            note: "test".into(),
            author: "test".into(),
            created_at: String::new(),
        });
        self.desired.deploys.sort_by(|a, b| a.app.cmp(&b.app));
        number
    }
}

pub fn spec(memory: MiB) -> RunSpec {
    RunSpec {
        image: Image { config: Digest::from_sha256([1; 32]), manifest: None, name: "image".into(), bytes: 0 },
        env: BTreeMap::new(),
        memory,
        cpu: None,
        placement: Default::default(),
        port: 8080,
        health: HealthCheck::Http { path: "/health".into() },
        command: None,
        stop_grace_seconds: 10,
    }
}
