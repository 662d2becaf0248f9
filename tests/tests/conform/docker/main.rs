//! The simulator's Docker beside a real engine, which is asked by the agent's own code.

#[path = "../draw.rs"]
mod draw;
mod engine;
mod node;
mod pair;

use std::collections::BTreeSet;

use engine::Bench;
use pair::Pair;

/// Nodes that share one engine, each with containers and addresses of its own. A node is a seed.
const NODES: u64 = 3;
/// Operations of each node between two losses of power.
const OPERATIONS: usize = 24;
const LOSSES: usize = 2;
/// What a run must meet, or it compares less than it says.
const OUTCOMES: [&str; 19] = [
    "create: done",
    "create: missing",
    "create: conflict",
    "start: done",
    "start: refused",
    "start: refused, its address is in use",
    "start: missing",
    "terminate: done",
    "terminate: conflict",
    "terminate: missing",
    "kill: done",
    "kill: conflict",
    "kill: missing",
    "remove: done",
    "remove: conflict",
    "remove: missing",
    "crash",
    "removed by hand",
    "asked to end, and has something to finish",
];

#[tokio::test(flavor = "multi_thread")]
async fn docker_and_the_simulated_one_answer_alike() {
    let mut bench = Bench::start().await;
    let mut pairs: Vec<Pair> = (0..NODES).map(|seed| Pair::new(&bench, seed)).collect();
    for loss in 0..=LOSSES {
        let work = pairs.iter_mut().map(|pair| pair.operate(OPERATIONS));
        futures_util::future::join_all(work).await;
        if loss < LOSSES {
            bench.lose_power().await;
            for pair in &mut pairs {
                pair.power_is_out().await;
            }
            bench.start_again().await;
            for pair in &mut pairs {
                pair.power_is_back().await;
            }
        }
    }
    let met: BTreeSet<&str> = pairs.iter().flat_map(|pair| pair.outcomes.iter().map(String::as_str)).collect();
    let unmet: Vec<&&str> = OUTCOMES.iter().filter(|outcome| !met.contains(**outcome)).collect();
    assert!(unmet.is_empty(), "nothing came of it that is {unmet:?}; there was {met:?}");
}
