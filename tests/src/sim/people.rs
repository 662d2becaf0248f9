//! What people ask for, never more than the cluster can hold in the end.

use std::collections::BTreeMap;

use dinp_common::build::BuildId;
use dinp_common::deploy::Strategy;
use dinp_common::digest::{Digest, Image};
use dinp_common::health::HealthCheck;
use dinp_common::name::AppName;
use dinp_common::node::NodeUse;
use dinp_common::pace::Pace;
use dinp_common::release::{ReleaseNo, RunSpec};
use dinp_common::size::MiB;

use super::docker::Behaviour;
use super::event::Event;
use super::kernel::{Ms, SECOND};
use super::names;
use super::setting::{Balance, LARGEST_MIB};
use super::store::hold::Hold;
use super::store::wishes::Wish;
use super::world::World;

/// After this pause somebody asks again, where the store did not answer.
const AGAIN_AFTER: Ms = SECOND;

impl World {
    pub(super) fn people(&mut self) {
        if self.k.calm {
            return;
        }
        let every = self.k.setting.wish_every;
        let pause = self.k.between(every / 4, every * 2);
        // The first wishes come quickly, so that there is something to run.
        let first = self.store.tables.apps.len() < self.k.setting.apps && self.k.now < 60_000;
        self.k.after(if first { 200 } else { pause }, Event::People);
        if self.store.down || self.store.hung {
            return;
        }
        self.balance();
        match self.k.rng.u32(..1000) {
            _ if first => self.wish(self.store.tables.apps.len()),
            ..60 => self.use_node(),
            60..200 if !self.store.tables.deploys.is_empty() => self.hold(),
            _ => {
                let app = self.k.rng.usize(..self.k.setting.apps);
                self.wish(app);
            }
        }
        let s = self.k.rng.usize(..self.servers.len());
        self.nudge(s);
    }

    fn use_node(&mut self) {
        let node = names::node(self.k.rng.usize(..self.k.setting.nodes));
        let wanted = [NodeUse::Open, NodeUse::Open, NodeUse::Cordoned, NodeUse::Draining][self.k.rng.usize(..4)];
        crate::say!(self.k, "people", "{node} is {wanted:?}");
        self.store.node_use(&node, wanted);
    }

    fn balance(&mut self) {
        let Some(asked) = self.k.setting.draw_balance(self.k.now) else { return };
        let done = match asked {
            Balance::Begin => self.store.rebalance_begin(),
            Balance::Cancel => self.store.rebalance_cancel(),
        };
        if done && asked == Balance::Cancel {
            self.watch_called_off();
        }
        crate::say!(self.k, "people", "rebalance: {asked:?}, done {done}");
    }

    fn hold(&mut self) {
        let deploy = &self.store.tables.deploys[self.k.rng.usize(..self.store.tables.deploys.len())];
        let (app, number, paused) = (deploy.app.clone(), deploy.number, deploy.paused.is_some());
        let hold = match self.k.rng.u32(..10) {
            ..3 => Hold::Cancel,
            _ if paused => Hold::Resume,
            _ => Hold::Pause,
        };
        let done = self.store.hold(&app, number, hold);
        crate::say!(self.k, "people", "{app} {number}: {hold:?}, done {done}");
    }

    fn wish(&mut self, number: usize) {
        let app = names::app(number);
        let wish = self.draw(number, &app);
        if !self.fits(&app, &wish) {
            return;
        }
        let deadline = self.k.setting.deploy_deadline;
        let Some(deploy) = self.store.begin(&app, &wish, deadline) else { return };
        crate::say!(self.k, "people", "{app} {}: {wish:?}", deploy.number);
        if let (Some(build), Wish::Release { spec, built: true, .. }) = (deploy.build, wish.clone()) {
            // A builder may die with it, and nobody hears of it again.
            let lasts = if self.k.chance(50) { Ms::MAX / 4 } else { self.k.between(200, 60_000) };
            return self.k.after(lasts, Event::Built(build, Box::new(spec)));
        }
        if let (Wish::Release { .. } | Wish::Rollback(_), Some(to)) = (&wish, deploy.to) {
            let behaviour = match wish {
                Wish::Rollback(old) => self.behaviours.get(&(app.clone(), old)).copied(),
                _ => None,
            };
            self.behaves(app, to, behaviour);
        }
    }

    fn behaves(&mut self, app: AppName, release: ReleaseNo, behaviour: Option<Behaviour>) {
        let behaviour = behaviour.unwrap_or_else(|| self.draw_behaviour());
        crate::say!(self.k, "people", "{app} {release} is {behaviour:?}");
        self.behaviours.insert((app, release), behaviour);
    }

    /// A builder has an image, or cannot make one.
    pub(super) fn built(&mut self, build: BuildId, spec: Box<RunSpec>) {
        if self.store.down || self.store.hung {
            return self.k.after(AGAIN_AFTER, Event::Built(build, spec));
        }
        if self.k.setting.bad_releases && self.k.chance(150) {
            self.store.build_failed(build);
        } else if let Some((app, to)) = self.store.build_succeeded(build, *spec) {
            self.behaves(app, to, None);
        }
        let s = self.k.rng.usize(..self.servers.len());
        self.nudge(s);
    }

    fn draw(&mut self, number: usize, app: &AppName) -> Wish {
        let live = self.store.tables.app(app).filter(|app| !app.deleted).and_then(|app| app.live);
        let most = self.k.setting.most_of(number);
        let roll = self.k.rng.u32(..100);
        let Some(live) = live.filter(|_| roll >= 40) else { return self.draw_release(number) };
        match roll {
            40..60 => Wish::Scale(self.k.rng.u32(1..=most)),
            60..72 => Wish::Restart,
            72..80 => Wish::Rollback(ReleaseNo(self.k.rng.u32(1..=live.0))),
            80..86 => Wish::Stop,
            86..94 => Wish::Start,
            94..97 => Wish::Delete,
            _ => self.draw_release(number),
        }
    }

    fn draw_release(&mut self, number: usize) -> Wish {
        let pace = self.draw_pace(number);
        let setting = &self.k.setting;
        let (rng, asks) = (&mut self.k.rng, &setting.asks);
        let spec = RunSpec {
            image: Image { config: Digest::from_sha256([1; 32]), manifest: None, name: "image".into(), bytes: 0 },
            env: BTreeMap::new(),
            memory: MiB(*[64, 128, LARGEST_MIB].get(rng.usize(..3)).unwrap_or(&LARGEST_MIB)),
            cpu: asks.draw_cpu(rng),
            placement: asks.draw_placement(rng, number),
            port: 8080,
            health: HealthCheck::Tcp,
            command: None,
            stop_grace_seconds: rng.u32(1..=12),
        };
        Wish::Release {
            instances: rng.u32(1..=setting.most_of(number)),
            spec,
            strategy: if rng.u32(..1000) < 120 { Strategy::Recreate } else { Strategy::Rolling },
            built: rng.u32(..1000) < 200,
            pace,
        }
    }

    /// A pace at which nothing could ever be replaced is refused by the API.
    fn draw_pace(&self, number: usize) -> Pace {
        let asked = self.k.setting.draw_pace(number, self.k.now);
        let known = self.store.tables.app(&names::app(number)).map_or_else(Pace::default, |app| app.pace);
        if self.k.setting.policy.moves_nothing(known.with(asked)) { Pace::default() } else { asked }
    }

    fn draw_behaviour(&mut self) -> Behaviour {
        let healthy = self.k.between(100, 6_000);
        if !self.k.setting.bad_releases || self.k.chance(550) {
            return if self.k.chance(100) { Behaviour::Stubborn(healthy) } else { Behaviour::HealthyAfter(healthy) };
        }
        match self.k.rng.u32(..6) {
            0 => Behaviour::NeverHealthy,
            1 => Behaviour::Missing,
            2 => Behaviour::Unstartable,
            3 => Behaviour::CrashesAfter { healthy: None, end: self.k.between(50, 5_000) },
            _ => Behaviour::CrashesAfter { healthy: Some(healthy), end: healthy + self.k.between(1_000, 90_000) },
        }
    }

    /// What is asked for always has its place in the end.
    fn fits(&self, app: &AppName, wish: &Wish) -> bool {
        // A deploy that is cancelled gives back what was wanted before.
        let before = |app| self.store.tables.deploy(app)?.before.map(|before| before.instances);
        let others = self.store.tables.apps.iter().filter(|other| other.name != *app);
        let others = others.map(|other| u64::from(other.instances.max(before(&other.name).unwrap_or(0))));
        let wanted = match wish {
            Wish::Release { instances, .. } | Wish::Scale(instances) => *instances,
            Wish::Restart | Wish::Rollback(_) | Wish::Stop | Wish::Start | Wish::Delete => return true,
        };
        others.sum::<u64>() + u64::from(wanted) <= self.k.setting.room()
    }
}
