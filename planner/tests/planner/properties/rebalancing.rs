//! A rebalance only ever improves the balance, ends, and is never felt.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use dinp_common::deploy::Strategy as Rollout;
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::name::{AppName, NodeName};
use dinp_common::plan::Change;
use dinp_common::size::MiB;
use dinp_planner::plan::Plan;
use dinp_planner::preview;
use proptest::prelude::*;

use super::config;
use crate::world::{Behaviour, World, app_name, domain, node_name};

#[derive(Debug, Clone)]
struct Cluster {
    /// Memory and zone; so many of them join after everything runs.
    nodes: Vec<(u64, usize)>,
    late: usize,
    /// Instances and the memory of each.
    apps: Vec<(u32, u64)>,
    /// Milliseconds until a new instance is healthy.
    delay: u64,
    at_once: u32,
    cordoned: Option<usize>,
}

fn clusters() -> impl Strategy<Value = Cluster> {
    let node = (prop_oneof![Just(1024u64), Just(2048), Just(4096)], 0..2usize);
    let app = (1..6u32, prop_oneof![Just(64u64), Just(128), Just(300), Just(512)]);
    let cordoned = prop::option::weighted(0.2, 0..6usize);
    (
        prop::collection::vec(node, 2..6),
        1..4usize,
        prop::collection::vec(app, 1..6),
        prop_oneof![Just(0u64), Just(700)],
        1..4u32,
        cordoned,
    )
        .prop_map(|(nodes, late, apps, delay, at_once, cordoned)| {
            let late = late.min(nodes.len() - 1);
            Cluster { nodes, late, apps, delay, at_once, cordoned }
        })
}

fn app(at: usize) -> AppName {
    app_name(&format!("app-{at}"))
}

/// Everything that finds room runs on the first nodes; the others have just joined.
fn crowded(cluster: &Cluster) -> World {
    let mut world = World::new();
    world.policy.rebalance_at_once = cluster.at_once;
    world.add_router("r1");
    let early = cluster.nodes.len() - cluster.late;
    let join = |world: &mut World, at: usize| {
        let (memory, zone) = cluster.nodes[at];
        let name = format!("node-{at}");
        world.add_node(&name, MiB(memory), 60);
        world.machines.get_mut(&node_name(&name)).expect("a node").zone = format!("z{zone}");
    };
    (0..early).for_each(|at| join(&mut world, at));
    let mut left: u64 = (0..early).map(|at| cluster.nodes[at].0).sum::<u64>() / 2;
    for (at, (instances, memory)) in cluster.apps.iter().enumerate() {
        let fits = (*instances).min((left / memory) as u32);
        left -= u64::from(fits) * memory;
        if fits > 0 {
            world.deploy(&app(at), fits, MiB(*memory), Behaviour::HealthyAfter(cluster.delay), Rollout::Rolling);
            (0..4).for_each(|_| world.step(1_000, |_, _| {}));
        }
    }
    (early..cluster.nodes.len()).for_each(|at| join(&mut world, at));
    if let Some(at) = cluster.cordoned {
        world.use_node(&node_name(&format!("node-{}", at % cluster.nodes.len())), true, false);
    }
    world.step(1_000, |_, _| {});
    world
}

/// Instances as they will stand when all moves under way are done.
fn standing(world: &World) -> Vec<Instance> {
    let moves = world.desired.rebalancing().into_iter().flat_map(|running| running.under_way());
    let leaving: BTreeSet<&InstanceId> = moves.map(|moving| &moving.instance).collect();
    let stays = |instance: &&Instance| instance.want == Want::Run && !leaving.contains(&instance.id);
    world.desired.instances.iter().filter(stays).cloned().collect()
}

/// The lower, the better; compared field by field.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Imbalance {
    /// Sums of squares of each app's instances in each zone, and on each node.
    zones: u64,
    nodes: u64,
    /// Millionths of each node's memory, the fullest first.
    fills: Vec<u64>,
}

fn imbalance(world: &World) -> Imbalance {
    let (mut zones, mut nodes) = (BTreeMap::<(AppName, String), u64>::new(), BTreeMap::<(AppName, NodeName), u64>::new());
    let mut reserved: BTreeMap<NodeName, u64> = world.machines.keys().map(|node| (node.clone(), 0)).collect();
    for instance in standing(world) {
        let zone = world.machines[&instance.node].zone.clone();
        *zones.entry((instance.app.clone(), zone)).or_default() += 1;
        *nodes.entry((instance.app.clone(), instance.node.clone())).or_default() += 1;
        *reserved.get_mut(&instance.node).expect("a node") +=
            world.desired.spec(&instance.app, instance.release).expect("release").memory.0;
    }
    let mut fills: Vec<u64> = reserved.iter().map(|(node, sum)| sum * 1_000_000 / world.machines[node].memory.0).collect();
    fills.sort_by_key(|fill| Reverse(*fill));
    let squares = |counts: &mut dyn Iterator<Item = u64>| counts.map(|n| n * n).sum();
    Imbalance { zones: squares(&mut zones.into_values()), nodes: squares(&mut nodes.into_values()), fills }
}

/// What must hold at every pass of a rebalance.
struct Judge {
    wanted: BTreeMap<AppName, usize>,
    last: Imbalance,
    began: Vec<(InstanceId, NodeName)>,
}

impl Judge {
    fn new(world: &World) -> Self {
        let wanted = world.desired.apps.iter().map(|app| (app.name.clone(), app.instances as usize)).collect();
        Self { wanted, last: imbalance(world), began: Vec::new() }
    }

    fn judge(&mut self, world: &World, plan: &Plan) {
        assert_eq!(world.violations, Vec::<String>::new());
        for (app, wanted) in &self.wanted {
            assert!(world.routed(app).len() >= *wanted, "{app} fell below what is wanted: {:#?}", plan.changes);
        }
        let under_way: Vec<_> = world.desired.rebalancing().into_iter().flat_map(|running| running.under_way()).collect();
        let apps: BTreeSet<&AppName> = under_way.iter().map(|moving| &moving.app).collect();
        assert!(under_way.len() <= world.policy.rebalance_at_once as usize, "{under_way:?}");
        assert_eq!(apps.len(), under_way.len(), "two of one app move at once: {under_way:?}");
        let places = plan.changes.iter().filter(|change| matches!(change, Change::Place { .. })).count();
        let now = imbalance(world);
        assert!(
            if places > 0 { now < self.last } else { now == self.last },
            "{:?} became {now:?} by {:#?}",
            self.last,
            plan.changes
        );
        assert!(now.fills[0] <= self.last.fills[0], "the fullest node is fuller: {:?}, {now:?}", self.last);
        for moving in under_way {
            if !self.began.iter().any(|(id, _)| *id == moving.instance) {
                let from = world.desired.instances.iter().find(|instance| instance.id == moving.instance).expect("recorded");
                let open = |node: &NodeName| !world.desired.nodes.iter().any(|known| known.name == *node && known.cordoned);
                assert!(open(&moving.to) && open(&from.node), "{moving:?} from {}", from.node);
                self.began.push((moving.instance.clone(), moving.to.clone()));
            }
        }
        self.last = now;
    }
}

/// Runs the rebalance that was asked for to its end.
fn runs_to_its_end(world: &mut World) -> Judge {
    let mut judge = Judge::new(world);
    let most = 4 + 2 * world.desired.instances.len() * 3;
    for _ in 0..most {
        world.step(1_000, |world, plan| judge.judge(world, plan));
        if world.desired.rebalancing().is_none() {
            return judge;
        }
    }
    panic!("it goes on after {most} s: {:?}", world.desired.rebalance);
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn a_rebalance_only_improves_is_never_felt_ends_and_leaves_nothing_for_a_second_one(cluster in clusters()) {
        let mut world = crowded(&cluster);
        let instances = standing(&world).len();
        world.rebalance();
        let judge = runs_to_its_end(&mut world);
        let ended = world.desired.rebalance.clone().expect("there was one");
        prop_assert_eq!(ended.moved as usize, judge.began.len(), "{:?}", ended);
        prop_assert!(judge.began.len() <= 2 * instances, "{} moves of {} instances", judge.began.len(), instances);
        prop_assert_eq!(standing(&world).len(), instances);
        world.step(1_000, |_, _| {});
        world.rebalance();
        let again = runs_to_its_end(&mut world);
        prop_assert_eq!(again.began, vec![]);
    }

    #[test]
    fn a_rehearsed_rebalance_says_what_then_moves(cluster in clusters()) {
        let mut world = crowded(&Cluster { delay: 0, ..cluster });
        let fence = world.publisher.fence();
        let foretold = preview::rebalance(world.desired.clone(), world.observed(), fence, &domain(), &world.policy, "ann");
        world.rebalance();
        let judge = runs_to_its_end(&mut world);
        let said: Vec<_> = foretold.moves.iter().map(|moved| (moved.instance.clone(), moved.to.clone())).collect();
        prop_assert_eq!(said, judge.began);
        prop_assert_eq!(foretold.ended, world.desired.rebalance.clone().and_then(|last| last.ended));
        for (node, (_, then)) in &foretold.nodes {
            let there = world.desired.instances.iter().filter(|instance| instance.node == *node && instance.want == Want::Run);
            prop_assert_eq!(there.count() as u32, *then, "on {}", node);
        }
    }
}
