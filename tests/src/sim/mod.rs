//! A deterministic simulation of a whole cluster: the real machines of the planner against a simulated database, Redis,
//! Docker, network and clocks, with faults drawn from a seed. One seed is one run.
//!
//! [`run`] runs one; `src/bin/sim.rs` runs many. [`invariants`] holds the promises, [`planted`] the bugs they must catch.

mod agent;
pub mod docker;
mod event;
mod faults;
pub mod invariants;
mod kernel;
pub mod names;
mod net;
mod people;
pub mod planted;
pub mod redis;
mod router;
pub mod seeds;
mod server;
mod setting;
pub mod store;
pub mod trace;
mod world;

pub use event::RedisAnswer;
pub use invariants::Counts;
pub use kernel::Ms;
pub use planted::Planted;
pub use setting::Setting;
pub use trace::{Clock, Detail};

use dinp_planner::promises::Breach;

use kernel::Kernel;
use trace::Trace;
use world::World;

/// How one seed went.
#[derive(Debug)]
pub struct Outcome {
    pub violation: Option<Breach>,
    /// When it ended, in simulated time.
    pub at: Ms,
    pub steps: u64,
    pub hash: u64,
    pub counts: Counts,
    /// The last lines, where they were kept.
    pub lines: Vec<String>,
}

/// Runs one seed to its end.
pub fn run(seed: u64, hours: Option<f64>, planted: Option<Planted>, detail: Detail) -> Outcome {
    run_in(Setting::draw(seed, hours), planted, detail)
}

/// Runs what happens in one setting.
pub fn run_in(setting: Setting, planted: Option<Planted>, detail: Detail) -> Outcome {
    let mut world = World::new(Kernel::new(setting, planted, Trace::new(detail)));
    while world.step() {}
    Outcome {
        violation: world.watch.violation,
        at: world.k.now,
        steps: world.k.steps,
        hash: world.k.trace.hash(),
        counts: world.watch.counts,
        lines: world.k.trace.into_lines(),
    }
}
