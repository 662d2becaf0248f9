//! What people ask for, never more than the cluster can hold in the end.

use dinp_common::deploy::Strategy;
use dinp_common::name::AppName;
use dinp_common::release::ReleaseNo;
use dinp_common::size::MiB;

use super::docker::Behaviour;
use super::event::Event;
use super::names;
use super::store::wishes::Wish;
use super::world::World;

/// The largest instance, by which the room is counted.
const LARGEST: u64 = 256;

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
        let app =
            if first { names::app(self.store.tables.apps.len()) } else { names::app(self.k.rng.usize(..self.k.setting.apps)) };
        if !first && self.k.chance(40) {
            let node = names::node(self.k.rng.usize(..self.k.setting.nodes));
            let cordoned = self.k.rng.bool();
            self.store.cordon(&node, cordoned);
            crate::say!(self.k, "people", "cordon {node}: {cordoned}");
        } else {
            self.wish(&app);
        }
        let s = self.k.rng.usize(..self.servers.len());
        self.nudge(s);
    }

    fn wish(&mut self, app: &AppName) {
        let wish = self.draw(app);
        if !self.fits(app, &wish) {
            return;
        }
        let deadline = self.k.setting.deploy_deadline;
        let Some(deploy) = self.store.begin(app, &wish, deadline) else { return };
        crate::say!(self.k, "people", "{app} {}: {wish:?}", deploy.number);
        if let (Wish::Release { .. } | Wish::Rollback(_), Some(to)) = (&wish, deploy.to) {
            let behaviour = match wish {
                Wish::Rollback(old) => self.behaviours.get(&(app.clone(), old)).copied(),
                _ => None,
            };
            let behaviour = behaviour.unwrap_or_else(|| self.draw_behaviour());
            crate::say!(self.k, "people", "{app} {to} is {behaviour:?}");
            self.behaviours.insert((app.clone(), to), behaviour);
        }
    }

    fn draw(&mut self, app: &AppName) -> Wish {
        let live = self.store.tables.app(app).filter(|app| !app.deleted).and_then(|app| app.live);
        let most = self.k.setting.instances;
        let roll = self.k.rng.u32(..100);
        let Some(live) = live.filter(|_| roll >= 40) else { return self.draw_release() };
        match roll {
            40..60 => Wish::Scale(self.k.rng.u32(1..=most)),
            60..72 => Wish::Restart,
            72..80 => Wish::Rollback(ReleaseNo(self.k.rng.u32(1..=live.0))),
            80..86 => Wish::Stop,
            86..94 => Wish::Start,
            94..97 => Wish::Delete,
            _ => self.draw_release(),
        }
    }

    fn draw_release(&mut self) -> Wish {
        Wish::Release {
            instances: self.k.rng.u32(1..=self.k.setting.instances),
            memory: MiB(*[64, 128, LARGEST].get(self.k.rng.usize(..3)).unwrap_or(&LARGEST)),
            strategy: if self.k.chance(120) { Strategy::Recreate } else { Strategy::Rolling },
            stop_grace_seconds: self.k.rng.u32(1..=12),
        }
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
            3 => Behaviour::CrashesAfter { healthy: u64::MAX / 4, end: self.k.between(50, 5_000) },
            _ => Behaviour::CrashesAfter { healthy, end: healthy + self.k.between(1_000, 90_000) },
        }
    }

    /// Half of what all nodes can hold is never asked for: the rest is for rollouts, drains and lost nodes.
    fn fits(&self, app: &AppName, wish: &Wish) -> bool {
        let setting = &self.k.setting;
        let a_node = u64::from(setting.addresses).min(setting.memory.0 / LARGEST);
        let room = (a_node * setting.nodes as u64 / 2).max(1);
        let others = self.store.tables.apps.iter().filter(|other| other.name != *app).map(|other| u64::from(other.instances));
        let wanted = match wish {
            Wish::Release { instances, .. } | Wish::Scale(instances) => *instances,
            Wish::Restart | Wish::Rollback(_) | Wish::Stop | Wish::Start | Wish::Delete => return true,
        };
        others.sum::<u64>() + u64::from(wanted) <= room
    }
}
