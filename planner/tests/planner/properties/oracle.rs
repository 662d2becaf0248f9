//! Judges every pass by what is, not by what the planner thinks.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::deploy::{DeployNo, DeployPhase, Strategy};
use dinp_common::instance::{InstanceId, Want};
use dinp_common::name::{AppName, RouterId};
use dinp_common::plan::{Change, Desired};
use dinp_common::route::RouteTable;
use dinp_common::size::MiB;
use dinp_planner::plan::Plan;

use crate::world::{World, app_name};

/// The longest pass of a history, by which a deadline may be missed.
const SLACK_MS: u64 = 12_000;

pub struct Oracle {
    before: Desired,
    /// What each router routed to before the pass.
    routed: BTreeMap<RouterId, BTreeSet<InstanceId>>,
    seen: BTreeSet<InstanceId>,
    /// When each rollout began.
    began: BTreeMap<(AppName, DeployNo), u64>,
}

impl Oracle {
    pub fn new(world: &World) -> Self {
        Self { before: world.desired.clone(), routed: BTreeMap::new(), seen: BTreeSet::new(), began: BTreeMap::new() }
    }

    /// People or machines have changed something since the last pass.
    pub fn wished(&mut self, world: &World) {
        self.before.clone_from(&world.desired);
    }

    pub fn judge(&mut self, world: &World, plan: &Plan) {
        assert_eq!(world.violations, Vec::<String>::new());
        self.one_decision_an_instance(plan);
        self.forward_only(world);
        memory_is_never_oversold(world);
        routes_lead_to_proven_running_instances(world);
        self.strength_is_kept(world, plan);
        self.deploys_end(world);
        self.before.clone_from(&world.desired);
        self.routed = tables(world);
    }

    fn one_decision_an_instance(&mut self, plan: &Plan) {
        let mut decided = BTreeSet::new();
        for change in &plan.changes {
            let id = match change {
                Change::Place { instance, .. } => {
                    assert!(self.seen.insert(instance.id.clone()), "{} was placed twice", instance.id);
                    &instance.id
                }
                Change::Move { instance, .. } | Change::Forget { instance } => instance,
                _ => continue,
            };
            assert!(decided.insert(id.clone()), "two decisions about {id} in one plan: {:#?}", plan.changes);
        }
    }

    fn forward_only(&self, world: &World) {
        for old in &self.before.instances {
            match world.desired.instances.iter().find(|new| new.id == old.id) {
                Some(new) => {
                    assert!(new.want >= old.want && new.proven >= old.proven, "{old:?} became {new:?}");
                    assert_eq!((&new.node, new.release), (&old.node, old.release));
                }
                None => {
                    assert_eq!(old.want, Want::Stop, "{} was forgotten while wanted", old.id);
                    assert!(world.containers.get(&old.id).is_none_or(|container| container.gone), "{} still exists", old.id);
                }
            }
        }
    }

    /// Nothing that serves is withdrawn while fewer than wanted would serve, unless people asked for that.
    /// A stalled router keeps what it has, whatever is decided: withdrawals then wait for it before anything stops.
    fn strength_is_kept(&self, world: &World, plan: &Plan) {
        if world.routers.values().any(|router| router.stalled) {
            return;
        }
        let served: Vec<_> = self.before.instances.iter().filter(|instance| self.serves(world, &instance.id)).collect();
        for app in &self.before.apps {
            let deploy = self.before.deploy(&app.name).filter(|deploy| deploy.phase == DeployPhase::Rollout);
            let nothing_good = app.live.is_none() && deploy.is_none();
            if app.stopped || app.deleted || nothing_good || deploy.is_some_and(|deploy| deploy.strategy == Strategy::Recreate) {
                continue;
            }
            let moved: BTreeSet<&InstanceId> = plan
                .changes
                .iter()
                .filter_map(|change| match change {
                    Change::Move { instance, .. } => Some(instance),
                    _ => None,
                })
                .collect();
            let of_app = || served.iter().filter(|instance| instance.app == app.name);
            let stay = of_app().filter(|instance| !moved.contains(&instance.id)).count();
            let lost_now = of_app().any(|instance| moved.contains(&instance.id));
            assert!(!lost_now || stay >= app.instances as usize, "{} fell to {stay}: {:#?}", app.name, plan.changes);
        }
    }

    /// It was to run, every live router sent it traffic, and it answered as far as anybody could know.
    fn serves(&self, world: &World, id: &InstanceId) -> bool {
        let Some(instance) = self.before.instances.iter().find(|instance| instance.id == *id) else { return false };
        let silent = world.machines[&instance.node].silent_ms;
        let answers = match silent {
            None => world.containers.get(id).is_some_and(|container| container.answers()),
            Some(ms) => ms < world.policy.lost_after_ms,
        };
        let mut live = self
            .routed
            .iter()
            .filter(|(router, _)| world.routers[*router].silent_ms.unwrap_or(0) < world.policy.router_silent_after_ms);
        let routed = live.clone().next().is_some() && live.all(|(_, table)| table.contains(id));
        instance.want == Want::Run && instance.proven && answers && routed
    }

    fn deploys_end(&mut self, world: &World) {
        for deploy in world.desired.deploys.iter().filter(|deploy| deploy.phase == DeployPhase::Rollout) {
            let began = *self.began.entry((deploy.app.clone(), deploy.number)).or_insert(world.now_ms);
            let spent = (world.now_ms - began).saturating_sub(deploy.paused_ms);
            assert!(spent <= 300_000 + SLACK_MS, "deploy {} of {} runs for {spent} ms", deploy.number, deploy.app);
        }
    }

    /// Every fault is mended and time has passed: what is wanted serves, nothing else is left, and nothing moves.
    pub fn at_rest(&self, world: &mut World) {
        let (plan, moved) = world.pass(0);
        assert!(!moved, "it does not rest: {:#?}", plan.changes);
        for name in ["blog", "shop"].map(app_name) {
            let Some(app) = world.desired.app(&name) else {
                assert_eq!(world.desired.instances_of(&name).count(), 0, "{name} is erased and has instances");
                continue;
            };
            assert!(!app.deleted, "{name} is still not erased");
            let wanted = if app.stopped || app.live.is_none() { 0 } else { app.instances as usize };
            let routed = world.routed(&name);
            assert_eq!(routed.len(), wanted, "{name}: {routed:?}, held back by {:?}", plan.holds.get(&name));
            assert!(routed.iter().all(|(id, release)| Some(*release) == app.live && world.containers[id].answers()));
            assert_eq!(world.desired.instances_of(&name).count(), wanted, "{name} has more than it wants");
        }
        for router in world.routers.values() {
            assert_eq!(&router.table, world.publisher.table());
        }
    }
}

fn tables(world: &World) -> BTreeMap<RouterId, BTreeSet<InstanceId>> {
    let ids = |table: &RouteTable| {
        table.values().flat_map(|route| &route.endpoints).map(|endpoint| endpoint.instance.clone()).collect()
    };
    world.routers.iter().map(|(id, router)| (id.clone(), ids(&router.table))).collect()
}

fn memory_is_never_oversold(world: &World) {
    for (name, machine) in &world.machines {
        let here = world.desired.instances.iter().filter(|instance| instance.node == *name);
        let held = here.filter(|instance| !world.containers.get(&instance.id).is_some_and(|container| container.gone));
        let memory: Vec<MiB> =
            held.map(|instance| world.desired.spec(&instance.app, instance.release).expect("release").memory).collect();
        let sum: u64 = memory.iter().map(|memory| memory.0).sum();
        assert!(sum <= machine.memory.0, "{name} of {} holds {memory:?}", machine.memory);
        assert!(memory.len() <= machine.addresses as usize, "{name} holds {} instances", memory.len());
    }
}

fn routes_lead_to_proven_running_instances(world: &World) {
    for app in &world.desired.apps {
        let routed = world.routed(&app.name);
        let known_sick = |id: &InstanceId, world: &World| {
            let node = &world.desired.instances.iter().find(|instance| instance.id == *id).expect("recorded").node;
            world.machines[node].silent_ms.is_none() && !world.containers[id].answers()
        };
        for (id, _) in &routed {
            let instance = world.desired.instances.iter().find(|instance| instance.id == *id).expect("a recorded instance");
            assert!(instance.proven && instance.want == Want::Run && !app.deleted, "{instance:?} is routed");
            let heard = world.machines[&instance.node].silent_ms.is_none();
            assert!(!heard || world.containers[id].runs(), "{id} has ended and is routed");
        }
        let sick = routed.iter().filter(|(id, _)| known_sick(id, world)).count();
        assert!(sick == 0 || sick == routed.len() || world.machines.values().any(|machine| machine.silent_ms.is_some()));
    }
}
