//! What a seed draws before its run begins: how large the world is, how bad, and by which numbers it is run.

mod asks;
mod balance;
mod pace;
mod policy;

use dinp_common::size::MiB;
use dinp_planner::policy::Policy;

pub use asks::{Asks, LARGEST_MIB, meets};
pub use balance::Balance;

use super::kernel::{MINUTE, Ms};

/// One seed in this many is large.
const LARGE_ONE_IN: u64 = 20;

#[derive(Debug, Clone)]
pub struct Setting {
    pub seed: u64,
    pub servers: usize,
    pub nodes: usize,
    pub routers: usize,
    pub apps: usize,
    /// Instances an app wants at most.
    pub instances: u32,
    pub memory: MiB,
    /// Processors of each node.
    pub cpus: u32,
    /// Addresses each node can give out.
    pub addresses: u32,
    /// What releases ask of nodes.
    pub asks: Asks,
    pub policy: Policy,
    pub net: NetSetting,
    pub faults: FaultSetting,
    /// Milliseconds between two wishes of people, on average.
    pub wish_every: Ms,
    pub deploy_deadline: Ms,
    /// When the faults end and people stop asking.
    pub calm_at: Ms,
    /// Whether releases may be bad.
    pub bad_releases: bool,
}

#[derive(Debug, Clone)]
pub struct NetSetting {
    pub delay_least: Ms,
    pub delay_most: Ms,
    pub late_most: Ms,
    pub lost_permille: u32,
    pub late_permille: u32,
    pub twice_permille: u32,
    /// Messages that arrive in part.
    pub partial_permille: u32,
}

#[derive(Debug, Clone)]
pub struct FaultSetting {
    /// Milliseconds between two faults, on average; 0 for none.
    pub every: Ms,
    /// A bit for each kind that may happen.
    pub kinds: u64,
    /// Of a thousand operations on Docker, those that go wrong.
    pub docker_permille: u32,
    /// Of a thousand calls on the store, those that go wrong.
    pub store_permille: u32,
    /// Whether clocks may stand still, which no lease survives without fencing.
    pub clocks: bool,
    /// How fast each server's clock runs, in millionths off.
    pub drift_ppm: u32,
}

impl Setting {
    /// Draws everything from the seed. `hours` of active time instead of the usual half hour, where given.
    pub fn draw(seed: u64, hours: Option<f64>) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd1e5);
        let large = seed % LARGE_ONE_IN == LARGE_ONE_IN - 1;
        let nodes = if large { rng.usize(8..=50) } else { 1 + rng.usize(0..5).min(rng.usize(0..6)) };
        let apps = if large { rng.usize(30..=200) } else { 1 + rng.usize(0..8).min(rng.usize(0..12)) };
        let quiet = rng.u32(0..10) == 0;
        let asks = Asks::draw(&mut rng, nodes, apps);
        // Drawn in any case, so that a shorter run is the beginning of the usual one.
        let usual = rng.u64(30 * MINUTE..=35 * MINUTE);
        let active = hours.map_or(usual, |hours| (hours * 60.0 * MINUTE as f64) as Ms);
        Self {
            seed,
            servers: *pick(&mut rng, &[1, 1, 1, 2, 2, 3]),
            nodes,
            routers: *pick(&mut rng, &[1, 1, 2, 2, 3, 4]),
            apps,
            instances: if large { 6 } else { *pick(&mut rng, &[1, 2, 3, 5, 8]) },
            memory: MiB(*pick(&mut rng, &[1_024, 2_048, 4_096, 16_384])),
            cpus: *pick(&mut rng, &[2, 4]),
            addresses: *pick(&mut rng, &[8, 40, 200]),
            asks,
            policy: balance::with(policy::draw(&mut rng), seed),
            net: net(&mut rng, quiet),
            faults: faults(&mut rng, quiet),
            wish_every: if large { rng.u64(2_000..=6_000) } else { rng.u64(10_000..=90_000) },
            deploy_deadline: rng.u64(90_000..=300_000),
            calm_at: active,
            bad_releases: rng.bool(),
        }
    }
}

impl Setting {
    /// A middling cluster with all its faults, by which the simulation's speed is measured.
    pub fn measured(seed: u64, hours: f64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (nodes, apps) = (5, 20);
        let faults =
            FaultSetting { every: 20_000, kinds: u64::MAX, docker_permille: 10, store_permille: 10, ..faults(&mut rng, false) };
        Self {
            servers: 3,
            nodes,
            routers: 2,
            apps,
            instances: 5,
            memory: MiB(16_384),
            addresses: 200,
            asks: Asks::draw(&mut rng, nodes, apps),
            faults,
            wish_every: 20_000,
            bad_releases: true,
            ..Self::draw(seed, Some(hours))
        }
    }

    /// Nothing goes wrong in this world, and nobody asks for anything bad.
    pub fn is_faultless(&self) -> bool {
        self.faults.every == 0 && self.faults.docker_permille == 0 && self.faults.store_permille == 0 && !self.bad_releases
    }
}

fn pick<'a, T>(rng: &mut fastrand::Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

fn net(rng: &mut fastrand::Rng, quiet: bool) -> NetSetting {
    let rough = !quiet && rng.bool();
    NetSetting {
        delay_least: 0,
        delay_most: *pick(rng, &[2, 10, 50]),
        late_most: if rough { rng.u64(100..=4_000) } else { 0 },
        lost_permille: if rough { rng.u32(0..=20) } else { 0 },
        late_permille: if rough { rng.u32(0..=50) } else { 0 },
        twice_permille: if rough { rng.u32(0..=20) } else { 0 },
        partial_permille: if rough { rng.u32(0..=5) } else { 0 },
    }
}

fn faults(rng: &mut fastrand::Rng, quiet: bool) -> FaultSetting {
    FaultSetting {
        every: if quiet { 0 } else { rng.u64(5_000..=60_000) },
        kinds: rng.u64(..) | rng.u64(..),
        docker_permille: if quiet || rng.bool() { 0 } else { rng.u32(1..=60) },
        store_permille: if quiet || rng.bool() { 0 } else { rng.u32(1..=40) },
        clocks: !quiet && rng.u32(0..4) == 0,
        drift_ppm: rng.u32(0..=200),
    }
}
