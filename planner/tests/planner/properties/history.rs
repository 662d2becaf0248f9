//! Any order of wishes, faults and repairs.

use dinp_common::deploy::{Deploy, DeployKind, DeployPhase, Strategy as Rollout};
use dinp_common::instance::InstanceId;
use dinp_common::name::{AppName, NodeName, RouterId};
use dinp_common::plan::{Change, Desired};
use dinp_common::size::MiB;
use dinp_planner::plan::{Input, plan};
use proptest::prelude::*;

use super::config;
use super::oracle::Oracle;
use crate::world::{Behaviour, World, app_name};

const NODES: [(&str, u64); 3] = [("node-1", 1024), ("node-2", 1024), ("node-3", 2048)];
const ROUTERS: [&str; 2] = ["r1", "r2"];
const APPS: [&str; 2] = ["blog", "shop"];
/// All wanted instances fit at once, with nothing much beside them.
const MOST_INSTANCES: u32 = 3;
const MEMORY: [u64; 2] = [256, 512];
const ADDRESSES: u32 = 5;

#[derive(Debug, Clone)]
enum Event {
    Deploy { app: usize, instances: u32, memory: usize, behaviour: Behaviour, rollout: Rollout },
    Build { app: usize },
    Built { app: usize, behaviour: Behaviour },
    Scale { app: usize, instances: u32 },
    Wish { app: usize, verb: Verb },
    Exit(usize),
    Sick(usize),
    Well(usize),
    Node { node: usize, fault: Fault },
    Use { node: usize, cordoned: bool, draining: bool },
    Router { router: usize, fault: Fault },
    InFlight { router: usize, instance: usize, count: u32 },
    Balance(Balance),
    NewLeader,
}

#[derive(Debug, Clone, Copy)]
enum Balance {
    Ask,
    Cancel,
    ByItself(bool),
}

#[derive(Debug, Clone, Copy)]
enum Verb {
    Restart,
    Rollback,
    Stop,
    Start,
    Delete,
    Cancel,
    Pause,
    Resume,
}

#[derive(Debug, Clone, Copy)]
enum Fault {
    Silent,
    Stuck,
    Dead,
    None,
}

fn behaviours() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        4 => prop_oneof![Just(0), Just(300), Just(3_000)].prop_map(Behaviour::HealthyAfter),
        1 => Just(Behaviour::ExitsAfter(200, 1)),
        1 => Just(Behaviour::NeverHealthy),
        1 => Just(Behaviour::Refused("no such image".into())),
    ]
}

fn faults() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::Silent), Just(Fault::Stuck), Just(Fault::Dead), Just(Fault::None), Just(Fault::None)]
}

fn events() -> impl Strategy<Value = Event> {
    let app = || 0..APPS.len();
    let verbs = prop_oneof![
        Just(Verb::Restart),
        Just(Verb::Rollback),
        Just(Verb::Stop),
        Just(Verb::Start),
        Just(Verb::Delete),
        Just(Verb::Cancel),
        Just(Verb::Pause),
        Just(Verb::Resume),
    ];
    let rollouts = prop_oneof![3 => Just(Rollout::Rolling), 1 => Just(Rollout::Recreate)];
    prop_oneof![
        6 => (app(), 0..=MOST_INSTANCES, 0..MEMORY.len(), behaviours(), rollouts)
            .prop_map(|(app, instances, memory, behaviour, rollout)| Event::Deploy { app, instances, memory, behaviour, rollout }),
        1 => app().prop_map(|app| Event::Build { app }),
        1 => (app(), behaviours()).prop_map(|(app, behaviour)| Event::Built { app, behaviour }),
        2 => (app(), 0..=MOST_INSTANCES).prop_map(|(app, instances)| Event::Scale { app, instances }),
        5 => (app(), verbs).prop_map(|(app, verb)| Event::Wish { app, verb }),
        2 => any::<prop::sample::Index>().prop_map(|at| Event::Exit(at.index(64))),
        3 => any::<prop::sample::Index>().prop_map(|at| Event::Sick(at.index(64))),
        2 => any::<prop::sample::Index>().prop_map(|at| Event::Well(at.index(64))),
        3 => (0..NODES.len(), faults()).prop_map(|(node, fault)| Event::Node { node, fault }),
        1 => (0..NODES.len(), any::<bool>()).prop_map(|(node, draining)| Event::Use { node, cordoned: true, draining }),
        1 => (0..NODES.len()).prop_map(|node| Event::Use { node, cordoned: false, draining: false }),
        2 => (0..ROUTERS.len(), faults()).prop_map(|(router, fault)| Event::Router { router, fault }),
        2 => (0..ROUTERS.len(), 0..64usize, 0..3u32)
            .prop_map(|(router, instance, count)| Event::InFlight { router, instance, count }),
        2 => prop_oneof![2 => Just(Balance::Ask), 1 => Just(Balance::Cancel), 1 => any::<bool>().prop_map(Balance::ByItself)]
            .prop_map(Event::Balance),
        1 => Just(Event::NewLeader),
    ]
}

fn histories() -> impl Strategy<Value = Vec<(Event, u64)>> {
    let elapsed = prop_oneof![Just(0), Just(100), Just(600), Just(2_000), Just(4_000), Just(11_000)];
    prop::collection::vec((events(), elapsed), 1..50)
}

fn world() -> World {
    let mut world = World::new();
    NODES.iter().for_each(|(name, memory)| world.add_node(name, MiB(*memory), ADDRESSES));
    ROUTERS.iter().for_each(|name| world.add_router(name));
    world
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn every_history_keeps_the_promises_ends_every_deploy_and_settles(history in histories()) {
        let mut world = world();
        let mut oracle = Oracle::new(&world);
        for (event, elapsed) in history {
            apply(&mut world, event);
            oracle.wished(&world);
            world.step(elapsed, |world, plan| oracle.judge(world, plan));
        }
        // Nothing is mended but what people hold back themselves: every rollout ends all the same.
        APPS.iter().for_each(|app| world.pause(&app_name(app), None));
        for _ in 0..64 {
            world.step(5_000, |world, plan| oracle.judge(world, plan));
        }
        let stuck: Vec<_> = world.desired.deploys.iter().filter(|deploy| deploy.phase == DeployPhase::Rollout).collect();
        prop_assert!(stuck.is_empty(), "{stuck:#?}");
        // Everything is mended: everything wanted serves, and nothing else is left.
        mend(&mut world);
        for _ in 0..80 {
            world.step(5_000, |world, plan| oracle.judge(world, plan));
        }
        oracle.at_rest(&mut world);
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn the_order_of_records_does_not_matter(history in histories(), seed in any::<u64>()) {
        let mut world = world();
        for (event, elapsed) in history {
            apply(&mut world, event);
            world.pass(elapsed);
            let observed = world.observed();
            let input = world.input(&observed, 500);
            let shuffled = shuffle(&world.desired, seed);
            let (straight, other) = (decisions(input), decisions(Input { desired: &shuffled, ..input }));
            prop_assert_eq!(straight, other);
        }
    }
}

/// Decisions without the words that name one of several instances at fault.
fn decisions(input: Input<'_>) -> Vec<String> {
    let describe = |change: &Change| match change {
        Change::Finish { app, deploy, state, failure } => {
            Some(format!("{app} {deploy} {state} {:?}", failure.as_ref().map(|failure| failure.cause)))
        }
        Change::Note(_) => None,
        other => Some(format!("{other:?}")),
    };
    let mut all: Vec<String> = plan(input).changes.iter().filter_map(describe).collect();
    all.sort();
    all
}

fn shuffle(desired: &Desired, seed: u64) -> Desired {
    fn mix<T>(items: &mut [T], seed: u64) {
        let mut state = seed | 1;
        for at in (1..items.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            items.swap(at, (state >> 33) as usize % (at + 1));
        }
    }
    let mut shuffled = desired.clone();
    mix(&mut shuffled.instances, seed);
    mix(&mut shuffled.nodes, seed);
    mix(&mut shuffled.routers, seed);
    mix(&mut shuffled.deploys, seed);
    shuffled
}

/// What the API refuses does not get here either.
fn apply(world: &mut World, event: Event) {
    let name = |app: usize| app_name(APPS[app]);
    let deleted = |world: &World, app: &AppName| world.desired.app(app).is_some_and(|app| app.deleted);
    let live = |world: &World, app: &AppName| world.desired.app(app).filter(|app| !app.deleted).and_then(|app| app.live);
    match event {
        Event::Deploy { app, instances, memory, behaviour, rollout } if !deleted(world, &name(app)) => {
            world.deploy(&name(app), instances, MiB(MEMORY[memory]), behaviour, rollout);
        }
        Event::Build { app } if !deleted(world, &name(app)) => drop(world.build(&name(app), 1)),
        Event::Built { app, behaviour } => {
            let building = world.desired.deploy(&name(app)).is_some_and(|deploy| deploy.phase == DeployPhase::Build);
            if building {
                world.built(&name(app), MiB(256), behaviour);
            }
        }
        Event::Scale { app, instances } if live(world, &name(app)).is_some() => drop(world.scale(&name(app), instances)),
        Event::Wish { app, verb } => wish(world, &name(app), verb, live(world, &name(app))),
        Event::Exit(at) => with_container(world, at, |world, id| world.exit(&id, 1)),
        Event::Sick(at) => with_container(world, at, |world, id| set_sick(world, &id, Some("503".into()))),
        Event::Well(at) => with_container(world, at, |world, id| set_sick(world, &id, None)),
        Event::Node { node, fault } => node_fault(world, &crate::world::node_name(NODES[node].0), fault),
        Event::Use { node, cordoned, draining } => {
            world.use_node(&crate::world::node_name(NODES[node].0), cordoned, draining);
        }
        Event::Router { router, fault } => router_fault(world, &crate::world::router_id(ROUTERS[router]), fault),
        Event::InFlight { router, instance, count } => with_container(world, instance, |world, id| {
            let router = world.routers.get_mut(&crate::world::router_id(ROUTERS[router])).expect("router");
            router.in_flight.insert(id, count);
        }),
        Event::Balance(Balance::Ask) => world.rebalance(),
        Event::Balance(Balance::Cancel) => world.cancel_rebalance(),
        Event::Balance(Balance::ByItself(begins)) => world.policy.rebalance_on_join = begins,
        Event::NewLeader => world.new_leader(),
        Event::Deploy { .. } | Event::Build { .. } | Event::Scale { .. } => {}
    }
}

fn wish(world: &mut World, app: &AppName, verb: Verb, live: Option<dinp_common::release::ReleaseNo>) {
    let there = world.desired.app(app).is_some_and(|app| !app.deleted);
    let brings_up =
        |deploy: &Deploy| deploy.strategy == Rollout::Rolling && !matches!(deploy.kind, DeployKind::Stop | DeployKind::Delete);
    match (verb, live) {
        (Verb::Restart, Some(_)) => drop(world.restart(app)),
        (Verb::Rollback, Some(live)) => drop(world.rollback(app, live)),
        (Verb::Start, Some(_)) => drop(world.start(app)),
        (Verb::Stop, _) if there => drop(world.stop(app)),
        (Verb::Delete, _) if there => drop(world.delete(app)),
        (Verb::Cancel, _) if there => drop(world.cancel(app)),
        (Verb::Pause, _) if world.desired.deploy(app).is_some_and(brings_up) => world.pause(app, Some("paused by ann")),
        (Verb::Resume, _) => world.pause(app, None),
        (Verb::Restart | Verb::Rollback | Verb::Start | Verb::Stop | Verb::Delete | Verb::Cancel | Verb::Pause, _) => {}
    }
}

fn with_container(world: &mut World, at: usize, act: impl FnOnce(&mut World, InstanceId)) {
    let ids: Vec<InstanceId> = world.containers.keys().cloned().collect();
    if !ids.is_empty() {
        act(world, ids[at % ids.len()].clone());
    }
}

fn set_sick(world: &mut World, id: &InstanceId, sick: Option<String>) {
    world.containers.get_mut(id).filter(|container| container.healthy).into_iter().for_each(|container| {
        container.sick.clone_from(&sick);
    });
}

fn node_fault(world: &mut World, node: &NodeName, fault: Fault) {
    let machine = world.machines.get_mut(node).expect("node");
    // Who is silent already says no word between two silences.
    let silent_ms = machine.silent_ms.take().unwrap_or(0);
    machine.hung = false;
    match fault {
        Fault::Silent => machine.silent_ms = Some(silent_ms),
        Fault::Stuck => machine.hung = true,
        Fault::Dead => {
            world.node_dies(node);
            world.machines.get_mut(node).expect("node").silent_ms = Some(silent_ms);
        }
        Fault::None => {}
    }
}

fn router_fault(world: &mut World, router: &RouterId, fault: Fault) {
    let router = world.routers.get_mut(router).expect("router");
    let silent_ms = router.silent_ms.take().unwrap_or(0);
    router.stalled = false;
    match fault {
        Fault::Silent | Fault::Dead => router.silent_ms = Some(silent_ms),
        Fault::Stuck => router.stalled = true,
        Fault::None => {}
    }
}

fn mend(world: &mut World) {
    NODES.iter().for_each(|(name, _)| world.use_node(&crate::world::node_name(name), false, false));
    NODES.iter().for_each(|(name, _)| node_fault(world, &crate::world::node_name(name), Fault::None));
    ROUTERS.iter().for_each(|name| router_fault(world, &crate::world::router_id(name), Fault::None));
    world.routers.values_mut().for_each(|router| router.in_flight.clear());
    world.behaviours.values_mut().for_each(|behaviour| *behaviour = Behaviour::HealthyAfter(0));
    for container in world.containers.values_mut() {
        container.sick = None;
        container.behaviour = Behaviour::HealthyAfter(0);
    }
}
