//! A million placements: 5,000 nodes in five zones, 1,000 apps of 20 sizes arriving mixed.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dinp_common::name::AppName;
use dinp_common::placement::Placement;
use dinp_common::release::{Release, ReleaseNo};
use dinp_common::size::MiB;
use dinp_planner::placement::{Ask, Demand, Nodes};
use dinp_planner::policy::Policy;

use super::world::{self, Draw};
use crate::Asked;
use crate::row::Row;
use crate::samples::Samples;

const NODES: usize = 5_000;
const ZONES: usize = 5;
const APPS: usize = 1_000;
const SIZES: usize = 20;
const CHUNK: usize = 100_000;
const CHUNKS: usize = 10;

/// One in four apps may have one instance on a node, another one in four two; the others as many as fit.
fn rules(app: usize) -> Placement {
    let per_node = [Some(1), Some(2), None, None][app % 4];
    Placement { per_node, ..Placement::default() }
}

fn once(apps: &[(AppName, Release)]) -> Vec<Duration> {
    // 200 instances a node, 672 MiB each on the average: the smallest node is nearly filled.
    let sizes = (0..NODES).map(|at| (MiB(144 * 1024 + (at as u64 % 7) * 16 * 1024), format!("zone-{}", at % ZONES)));
    let (nodes, observed) = world::nodes(sizes);
    let policy = Policy::default();
    let mut nodes = Nodes::empty(&nodes, &observed, 60_000, &policy);
    let asks: Vec<Ask> =
        apps.iter().map(|(name, release)| nodes.ask(Demand::of(name, ReleaseNo(1), 0, &release.spec), [])).collect();
    let mut draw = Draw::new(7);
    let mut chunks = Vec::with_capacity(CHUNKS);
    for _ in 0..CHUNKS {
        let began = Instant::now();
        for _ in 0..CHUNK {
            let ask = asks[draw.below(APPS as u64) as usize];
            black_box(nodes.place(ask).expect("there is room for all"));
        }
        chunks.push(began.elapsed());
    }
    chunks
}

pub fn measure(asked: &Asked) -> [Row; 2] {
    let apps: Vec<(AppName, Release)> =
        (0..APPS).map(|at| (world::app_name(at), world::release(MiB(64 * (1 + (at % SIZES) as u64)), rules(at)))).collect();
    let (mut whole, mut first, mut last) = (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..asked.times(3, 7) {
        let chunks = once(&apps);
        whole.add(chunks.iter().sum());
        first.add(chunks[0]);
        last.add(chunks[CHUNKS - 1]);
    }
    let rate = |count: usize, ms: f64| count as f64 / ms * 1_000.0;
    let all = CHUNK * CHUNKS;
    [
        Row {
            figure: "placements per second, one core",
            at_least: 300_000.0,
            aim: 1_000_000.0,
            measured: rate(all, whole.p50()),
            unit: "/s",
            beside: format!(
                "median of {}, worst {:.0}/s; first 100,000 {:.0}/s, last {:.0}/s",
                whole.count(),
                rate(all, whole.worst()),
                rate(CHUNK, first.p50()),
                rate(CHUNK, last.p50())
            ),
        },
        Row {
            figure: "last 100,000 of a million, in times of the first",
            at_least: 2.0,
            aim: 2.0,
            measured: last.p50() / first.p50(),
            unit: "x",
            beside: "medians".to_owned(),
        },
    ]
}
