//! How good the places are: passes on small clusters beside a search of every arrangement there is.

use dinp_common::fence::Fence;
use dinp_common::name::ClusterId;
use dinp_common::placement::Placement;
use dinp_common::plan::{Change, Desired};
use dinp_common::release::ReleaseNo;
use dinp_common::size::MiB;
use dinp_planner::plan::{Input, plan};
use dinp_planner::policy::Policy;
use dinp_planner::table::Publisher;

use super::world::{self, Draw};
use crate::Asked;
use crate::row::Row;

/// Placed, and millionths of its memory that are taken on the fullest node.
type Outcome = (usize, u64);

/// Memory of the nodes, and of the apps that arrive in one pass.
struct Cluster {
    nodes: Vec<u64>,
    apps: Vec<u64>,
}

fn draw(draw: &mut Draw) -> Cluster {
    let nodes = (0..2 + draw.below(3)).map(|_| 512 * (2 + draw.below(7))).collect();
    let apps = (0..3 + draw.below(5)).map(|_| 128 * (1 + draw.below(16))).collect();
    Cluster { nodes, apps }
}

fn fill(taken: &[u64], nodes: &[u64]) -> u64 {
    taken.iter().zip(nodes).map(|(taken, node)| taken * 1_000_000 / node).max().unwrap_or(0)
}

fn better(a: Outcome, b: Outcome) -> bool {
    a.0 > b.0 || (a.0 == b.0 && a.1 < b.1)
}

/// Tries every node, and none, for each app.
fn exhaustive(cluster: &Cluster, at: usize, placed: usize, taken: &mut [u64], best: &mut Outcome) {
    let Some(app) = cluster.apps.get(at) else {
        let found = (placed, fill(taken, &cluster.nodes));
        if better(found, *best) {
            *best = found;
        }
        return;
    };
    for node in 0..taken.len() {
        if taken[node] + app <= cluster.nodes[node] {
            taken[node] += app;
            exhaustive(cluster, at + 1, placed + 1, taken, best);
            taken[node] -= app;
        }
    }
    exhaustive(cluster, at + 1, placed, taken, best);
}

fn planned(cluster: &Cluster) -> Outcome {
    let (nodes, observed) = world::nodes(cluster.nodes.iter().map(|memory| (MiB(*memory), "a".to_owned())));
    let releases = cluster.apps.iter().enumerate();
    let release =
        |(at, memory): (usize, &u64)| ((world::app_name(at), ReleaseNo(1)), world::release(MiB(*memory), Placement::default()));
    let desired = Desired {
        apps: (0..cluster.apps.len()).map(|at| world::app(at, 1)).collect(),
        releases: releases.map(release).collect(),
        next_instance: 1,
        nodes,
        ..Desired::default()
    };
    let policy = Policy::default();
    let fence = Fence { cluster: ClusterId::parse("c").expect("a cluster"), epoch: 1, holder: "bench".to_owned() };
    let publisher = Publisher::new(fence);
    let decided = plan(Input {
        desired: &desired,
        observed: &observed,
        publisher: &publisher,
        policy: &policy,
        elapsed_ms: 0,
        leading_ms: 60_000,
    });
    let mut taken = vec![0; cluster.nodes.len()];
    let mut placed = 0;
    for change in &decided.changes {
        if let Change::Place { instance, .. } = change {
            let node = desired.nodes.iter().position(|node| node.name == instance.node).expect("a node");
            let memory = desired.spec(&instance.app, instance.release).expect("a release").memory.0;
            taken[node] += memory;
            placed += 1;
        }
    }
    assert!(taken.iter().zip(&cluster.nodes).all(|(taken, node)| taken <= node), "a node is oversold");
    (placed, fill(&taken, &cluster.nodes))
}

pub fn measure(asked: &Asked) -> [Row; 2] {
    let mut random = Draw::new(11);
    let (mut ours, mut best_placed) = (0, 0);
    let (mut our_fill, mut best_fill) = (0, 0);
    let clusters = asked.times(200, 1_000);
    let mut equal = 0;
    for _ in 0..clusters {
        let cluster = draw(&mut random);
        let mut best = (0, u64::MAX);
        exhaustive(&cluster, 0, 0, &mut vec![0; cluster.nodes.len()], &mut best);
        let found = planned(&cluster);
        equal += usize::from(found == best);
        ours += found.0;
        best_placed += best.0;
        // Fills compare where as many are placed.
        if found.0 == best.0 {
            our_fill += found.1;
            best_fill += best.1;
        }
    }
    let beside = format!("{equal} of {clusters} clusters are equal in both");
    [
        Row {
            figure: "small clusters: placed, of what exhaustive search places",
            at_least: 99.0,
            aim: 100.0,
            measured: ours as f64 / best_placed as f64 * 100.0,
            unit: "%",
            beside: beside.clone(),
        },
        Row {
            figure: "small clusters: fill of the fullest node, of exhaustive search's",
            at_least: 101.0,
            aim: 100.0,
            measured: our_fill as f64 / best_fill as f64 * 100.0,
            unit: "%",
            beside,
        },
    ]
}
