//! Whether nodes are rebalanced, and by which numbers: in one seed of three, with dice of their own, so that the other seeds
//! are what they would be without.

use dinp_planner::policy::Policy;

use super::{Setting, pick};
use crate::sim::kernel::Ms;

/// What people ask of the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    Begin,
    Cancel,
}

fn dice(seed: u64, at: Ms) -> Option<fastrand::Rng> {
    seed.is_multiple_of(3).then(|| fastrand::Rng::with_seed(seed ^ at.rotate_left(30)))
}

/// The numbers of a seed, with those of a rebalance.
pub(super) fn with(policy: Policy, seed: u64) -> Policy {
    let Some(mut rng) = dice(seed, 0) else { return policy };
    let drawn = Policy {
        rebalance_at_once: rng.u32(1..=4),
        rebalance_gain_percent: *pick(&mut rng, &[5, 20, 50]),
        rebalance_failures: rng.u32(1..=4),
        rebalance_on_join: rng.bool(),
        ..policy
    };
    debug_assert_eq!(drawn.check(), Ok(()), "a seed draws numbers that go together");
    drawn
}

impl Setting {
    /// What somebody asks of the balance at this time, if anything.
    pub fn draw_balance(&self, at: Ms) -> Option<Balance> {
        match dice(self.seed, at)?.u32(..24) {
            ..6 => Some(Balance::Begin),
            6 => Some(Balance::Cancel),
            _ => None,
        }
    }
}
