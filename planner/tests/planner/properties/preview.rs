//! A dry run says what then happens.

use dinp_common::deploy::{DeployState, Strategy as Rollout};
use dinp_common::instance::{InstanceId, Want};
use dinp_common::name::AppName;
use dinp_common::plan::Change;
use dinp_common::size::MiB;
use dinp_planner::preview::{Does, Outcome, Preview, drain, preview};
use proptest::prelude::*;

use super::config;
use crate::world::{Behaviour, World, app_name, domain, node_name};

#[derive(Debug, Clone)]
enum Wish {
    Deploy { instances: u32, memory: u64, rollout: Rollout },
    Scale(u32),
    Restart,
    Stop,
}

fn wishes() -> impl Strategy<Value = Wish> {
    let rollouts = prop_oneof![3 => Just(Rollout::Rolling), 1 => Just(Rollout::Recreate)];
    prop_oneof![
        3 => (1..6u32, prop_oneof![Just(100u64), Just(300), Just(700)], rollouts)
            .prop_map(|(instances, memory, rollout)| Wish::Deploy { instances, memory, rollout }),
        3 => (1..7u32).prop_map(Wish::Scale),
        1 => Just(Wish::Restart),
        1 => Just(Wish::Stop),
    ]
}

fn wish(world: &mut World, app: &AppName, wish: &Wish) {
    match wish {
        Wish::Deploy { instances, memory, rollout } => {
            world.deploy(app, *instances, MiB(*memory), Behaviour::HealthyAfter(0), *rollout);
        }
        Wish::Scale(instances) => drop(world.scale(app, *instances)),
        Wish::Restart => drop(world.restart(app)),
        Wish::Stop => drop(world.stop(app)),
    }
}

type Said = (Does, InstanceId, String);

/// What a world then does to the app until nothing moves and its deploy has ended.
fn happens(world: &mut World, app: &AppName) -> (Vec<Said>, Option<DeployState>) {
    let mut steps = Vec::new();
    let ended = world.finished.len();
    for _ in 0..400 {
        let mut seen = |world: &World, plan: &dinp_planner::plan::Plan| {
            for change in &plan.changes {
                match change {
                    Change::Place { instance, .. } if instance.app == *app => {
                        steps.push((Does::Start, instance.id.clone(), instance.node.to_string()));
                    }
                    Change::Move { instance, want, .. } => {
                        let does = if *want == Want::Drain { Does::Withdraw } else { Does::Stop };
                        let found = world.desired.instances.iter().find(|known| known.id == *instance).expect("recorded");
                        if found.app == *app {
                            steps.push((does, instance.clone(), found.node.to_string()));
                        }
                    }
                    _ => {}
                }
            }
        };
        world.step(1_000, &mut seen);
        if world.desired.deploy(app).is_none() {
            break;
        }
    }
    let state = world.finished[ended..].iter().find(|(name, ..)| name == app).map(|(_, _, state, _)| *state);
    (steps, state)
}

fn said(preview: &Preview) -> Vec<Said> {
    preview.steps.iter().map(|step| (step.does, step.instance.clone(), step.node.to_string())).collect()
}

fn dry_run(world: &World, app: &AppName) -> Preview {
    let fence = world.publisher.fence();
    preview(world.desired.clone(), world.observed(), fence, &domain(), &world.policy, app)
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn a_dry_run_says_exactly_what_then_happens(
        first in 1..5u32,
        neighbour in 0..3u32,
        cordoned in any::<bool>(),
        history in prop::collection::vec(wishes(), 1..4),
    ) {
        let mut world = World::new();
        [("node-1", 2048), ("node-2", 1024), ("node-3", 1024)].iter().for_each(|(name, memory)| world.add_node(name, MiB(*memory), 20));
        world.add_router("r1");
        let (shop, blog) = (app_name("shop"), app_name("blog"));
        world.deploy(&shop, first, MiB(100), Behaviour::HealthyAfter(0), Rollout::Rolling);
        if neighbour > 0 {
            world.deploy(&blog, neighbour, MiB(300), Behaviour::HealthyAfter(0), Rollout::Rolling);
        }
        (0..4).for_each(|_| world.step(1_000, |_, _| {}));
        world.use_node(&node_name("node-2"), cordoned, false);
        for next in &history {
            wish(&mut world, &shop, next);
            let preview = dry_run(&world, &shop);
            let (steps, state) = happens(&mut world, &shop);
            prop_assert_eq!(said(&preview), steps, "{:?}", next);
            let Outcome::Ends { state: foretold, .. } = preview.outcome else { panic!("{:?} does not end", next) };
            prop_assert_eq!(Some(foretold), state);
            for (node, (_, after)) in &preview.nodes {
                let there = world.desired.instances.iter();
                let there = there.filter(|instance| instance.app == shop && instance.node == *node && instance.want == Want::Run);
                prop_assert_eq!(there.count() as u32, *after, "{} after {:?}", node, next);
            }
            prop_assert_eq!(preview.filtered.contains("node-2: it is cordoned"), cordoned, "{}", preview.filtered);
        }
    }
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn a_rehearsed_drain_says_what_then_moves_and_what_stays(
        shops in 1..6u32,
        blogs in 0..3u32,
        memory in prop_oneof![Just(100u64), Just(400), Just(900)],
        cordoned in any::<bool>(),
    ) {
        let mut world = World::new();
        [("node-1", 4096), ("node-2", 1024), ("node-3", 1024)].iter().for_each(|(name, memory)| world.add_node(name, MiB(*memory), 20));
        world.add_router("r1");
        let apps = [(app_name("shop"), shops, memory), (app_name("blog"), blogs, 100)];
        for (app, instances, memory) in &apps {
            world.deploy(app, *instances, MiB(*memory), Behaviour::HealthyAfter(0), Rollout::Rolling);
        }
        (0..4).for_each(|_| world.step(1_000, |_, _| {}));
        world.use_node(&node_name("node-3"), cordoned, false);
        let node = node_name("node-1");
        let fence = world.publisher.fence();
        let foretold = drain(world.desired.clone(), world.observed(), fence, &domain(), &world.policy, &node);
        world.use_node(&node, true, true);
        (0..4).for_each(|_| world.step(1_000, |_, _| {}));
        let left: Vec<InstanceId> =
            world.desired.instances.iter().filter(|instance| instance.node == node).map(|instance| instance.id.clone()).collect();
        prop_assert_eq!(foretold.left.iter().map(|(id, ..)| id.clone()).collect::<Vec<_>>(), left);
        for (node, (_, then)) in &foretold.nodes {
            let there = world.desired.instances.iter().filter(|instance| instance.node == *node && instance.want == Want::Run);
            prop_assert_eq!(there.count() as u32, *then, "on {}", node);
        }
        for (_, app, why) in &foretold.left {
            prop_assert!(why.contains("node-2"), "{} stays without a reason: {}", app, why);
        }
    }
}
