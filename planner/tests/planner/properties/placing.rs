//! Places, beside a look at every node and beside a search of every arrangement.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use dinp_common::deploy::Strategy as Rollout;
use dinp_common::name::{AppName, NodeName};
use dinp_common::node::{Capacity, Node, NodeFacts};
use dinp_common::placement::Placement;
use dinp_common::plan::Change;
use dinp_common::release::{ReleaseNo, RunSpec};
use dinp_common::size::{Cpu, MiB};
use dinp_planner::observed::{NodeSeen, Observed};
use dinp_planner::placement::{Demand, Nodes};
use dinp_planner::plan::plan;
use dinp_planner::policy::Policy;
use dinp_planner::reported::Reported;
use dinp_planner::steadiness::Return;
use proptest::prelude::*;

use super::config;
use crate::world::{Behaviour, World, app_name, node_name, spec};

/// More than are searched together, so that every decision stands alone.
const NODES: usize = 40;
const APPS: usize = 6;

#[derive(Debug, Clone)]
struct Machine {
    memory: u64,
    addresses: u32,
    zone: u8,
    ssd: bool,
    cordoned: bool,
    /// It came back twice just now.
    unsteady: bool,
}

#[derive(Debug, Clone)]
struct Ordered {
    memory: u64,
    cpu: Option<u32>,
    ssd: bool,
    zones: Vec<u8>,
    per_node: Option<u32>,
}

fn machines() -> impl Strategy<Value = Vec<Machine>> {
    // In some clusters nearly all come and go, so that for some nobody else is left.
    prop_oneof![Just(0.1), Just(0.9)].prop_flat_map(|unsteady| {
        let rare = prop::bool::weighted;
        let machine = (1..9u64, 1..7u32, 0..3u8, rare(0.15), rare(0.1), rare(unsteady));
        let machine = machine.prop_map(|(memory, addresses, zone, ssd, cordoned, unsteady)| Machine {
            memory: memory * 256,
            addresses,
            zone,
            ssd,
            cordoned,
            unsteady,
        });
        prop::collection::vec(machine, NODES)
    })
}

fn orders() -> impl Strategy<Value = Vec<Ordered>> {
    let order = (
        1..9u64,
        prop::option::weighted(0.3, 100..900u32),
        prop::bool::weighted(0.3),
        prop_oneof![3 => Just(vec![]), 1 => Just(vec![0]), 1 => Just(vec![1, 2])],
        prop::option::weighted(0.4, 1..3u32),
    )
        .prop_map(|(memory, cpu, ssd, zones, per_node)| Ordered { memory: memory * 64, cpu, ssd, zones, per_node });
    prop::collection::vec(order, APPS)
}

fn facts(machine: &Machine) -> NodeFacts {
    let labels = if machine.ssd { BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]) } else { BTreeMap::new() };
    NodeFacts {
        capacity: Capacity { memory: MiB(machine.memory), cpus: 1, addresses: machine.addresses },
        labels,
        zone: format!("z{}", machine.zone),
        version: "0".into(),
        docker: Ok("20".into()),
        disk_free: 1,
        disk_total: 2,
    }
}

fn wanted(order: &Ordered) -> RunSpec {
    let labels = if order.ssd { BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]) } else { BTreeMap::new() };
    let zones = order.zones.iter().map(|zone| format!("z{zone}")).collect();
    let placement = Placement { labels, zones, per_node: order.per_node };
    RunSpec { cpu: order.cpu.map(Cpu), placement, ..spec(MiB(order.memory)) }
}

/// Whether it takes such an instance, if it has room.
fn suits(machine: &Machine, order: &Ordered) -> bool {
    !machine.cordoned && (!order.ssd || machine.ssd) && (order.zones.is_empty() || order.zones.contains(&machine.zone))
}

fn could_ever(machine: &Machine, order: &Ordered) -> bool {
    suits(machine, order) && order.memory <= machine.memory && order.cpu.unwrap_or(0) <= 1_000
}

/// What stands where, kept by hand.
#[derive(Debug, Default, Clone)]
struct Books {
    memory: Vec<u64>,
    cpu: Vec<u32>,
    apps: Vec<BTreeMap<usize, u32>>,
}

impl Books {
    fn allows(&self, machines: &[Machine], orders: &[Ordered], app: usize, node: usize) -> bool {
        let (machine, order) = (&machines[node], &orders[app]);
        let total: u32 = self.apps[node].values().sum();
        suits(machine, order)
            && (!machine.unsteady || !machines.iter().any(|other| !other.unsteady && could_ever(other, order)))
            && order.per_node.is_none_or(|most| self.apps[node].get(&app).copied().unwrap_or(0) < most)
            && self.memory[node] + order.memory <= machine.memory
            && self.cpu[node] + order.cpu.unwrap_or(0) <= 1_000
            && total < machine.addresses
    }

    /// Fewest of the app in the zone, fewest on the node, most free, first by name.
    fn best(&self, machines: &[Machine], orders: &[Ordered], app: usize) -> Option<usize> {
        let on = |node: usize| self.apps[node].get(&app).copied().unwrap_or(0);
        let in_zone = |zone: u8| (0..machines.len()).filter(|node| machines[*node].zone == zone).map(on).sum::<u32>();
        let nodes = (0..machines.len()).filter(|node| self.allows(machines, orders, app, *node));
        nodes.min_by_key(|node| {
            (in_zone(machines[*node].zone), on(*node), Reverse(machines[*node].memory - self.memory[*node]), *node)
        })
    }
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn a_place_is_the_one_that_a_look_at_every_node_finds(
        machines in machines(),
        orders in orders(),
        arrivals in prop::collection::vec(0..APPS, 1..150),
    ) {
        let names: Vec<NodeName> = (0..NODES).map(|at| node_name(&format!("n{at:02}"))).collect();
        let nodes: Vec<Node> =
            names.iter().zip(&machines).map(|(name, machine)| Node { name: name.clone(), cordoned: machine.cordoned, draining: false }).collect();
        let seen = |machine: &Machine| NodeSeen {
            returns: if machine.unsteady { vec![Return { ago_ms: 1_000, after_ms: 5_000 }; 2] } else { Vec::new() },
            steps: BTreeMap::new(),
            silent_ms: 0,
            facts: facts(machine),
            instances: Reported::default(),
            cooling: Vec::new(),
            orphans: Vec::new(),
        };
        let heard = names.iter().cloned().zip(machines.iter().map(seen)).collect();
        let observed = Observed { nodes: heard, routers: BTreeMap::new() };
        let policy = Policy::default();
        let mut placing = Nodes::empty(&nodes, &observed, 60_000, &policy);
        let apps: Vec<(AppName, RunSpec)> =
            orders.iter().enumerate().map(|(at, order)| (app_name(&format!("app{at}")), wanted(order))).collect();
        let mut books =
            Books { memory: vec![0; NODES], cpu: vec![0; NODES], apps: vec![BTreeMap::new(); NODES] };
        for app in arrivals {
            let (name, spec) = &apps[app];
            let ask = placing.ask(Demand::of(name, ReleaseNo(1), 0, spec), []);
            let ours = placing.place(ask).map(|placed| {
                let out = (0..NODES).filter(|node| !books.allows(&machines, &orders, app, *node)).count();
                let words = placing.words(&placed);
                let all_counted = orders[app].per_node.is_some() || out == 0 || words.contains(&format!(", {out} filtered"));
                // The words are read after the place is taken: the count is of before.
                assert!(all_counted, "{words}, and {out} were");
                placed.node as usize
            });
            prop_assert_eq!(ours, books.best(&machines, &orders, app), "{:?}", orders[app]);
            match ours {
                Some(node) => {
                    books.memory[node] += orders[app].memory;
                    books.cpu[node] += orders[app].cpu.unwrap_or(0);
                    *books.apps[node].entry(app).or_default() += 1;
                }
                None => prop_assert!(!placing.refusals(ask).is_empty()),
            }
        }
    }
}

/// How many can be placed at all, and how full the fullest node then has to be.
fn exhaustive(nodes: &[u64], apps: &[u64], taken: &mut [u64], placed: usize, best: &mut (usize, u64)) {
    let Some((app, rest)) = apps.split_first() else {
        let fill = taken.iter().zip(nodes).map(|(taken, node)| taken * 1_000_000 / node).max().unwrap_or(0);
        if placed > best.0 || (placed == best.0 && fill < best.1) {
            *best = (placed, fill);
        }
        return;
    };
    for node in 0..nodes.len() {
        if taken[node] + app <= nodes[node] {
            taken[node] += app;
            exhaustive(nodes, rest, taken, placed + 1, best);
            taken[node] -= app;
        }
    }
    exhaustive(nodes, rest, taken, placed, best);
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn a_small_cluster_holds_as_many_as_it_can_and_as_evenly(
        nodes in prop::collection::vec((1..9u64).prop_map(|size| size * 512), 1..4),
        apps in prop::collection::vec((1..17u64).prop_map(|size| size * 128), 1..7),
    ) {
        let mut world = World::new();
        nodes.iter().enumerate().for_each(|(at, memory)| world.add_node(&format!("node-{at}"), MiB(*memory), 100));
        apps.iter().enumerate().for_each(|(at, memory)| {
            world.deploy(&app_name(&format!("app{at}")), 1, MiB(*memory), Behaviour::HealthyAfter(0), Rollout::Rolling);
        });
        world.everybody_reports();
        let observed = world.observed();
        let decided = plan(world.input(&observed, 0));
        let mut taken = vec![0; nodes.len()];
        let mut placed = 0;
        for change in &decided.changes {
            if let Change::Place { instance, .. } = change {
                let at = world.desired.nodes.iter().position(|node| node.name == instance.node).expect("a node");
                taken[at] += world.desired.spec(&instance.app, instance.release).expect("a release").memory.0;
                placed += 1;
            }
        }
        let fill = taken.iter().zip(&nodes).map(|(taken, node)| taken * 1_000_000 / node).max().unwrap_or(0);
        let mut best = (0, u64::MAX);
        exhaustive(&nodes, &apps, &mut vec![0; nodes.len()], 0, &mut best);
        prop_assert_eq!((placed, fill), best);
    }
}
