//! The numbers that leaders decide by: our own for one seed in three, others that go together for the rest.

use dinp_planner::policy::Policy;

use super::pick;

pub(super) fn draw(rng: &mut fastrand::Rng) -> Policy {
    let usual = Policy::default();
    // Nobody waits a night for a deploy to be given up, or a build.
    let bounded = Policy { pause_most_ms: rng.u64(120_000..=900_000), build_deadline_ms: rng.u64(60_000..=600_000), ..usual };
    if rng.u32(0..3) == 0 {
        return bounded;
    }
    let suspect_after_ms = rng.u64(2_500..=5_000);
    let unhealthy_grace_ms = rng.u64(5_000..=20_000);
    let flap_most_ms = rng.u64(30_000..=240_000);
    let drawn = Policy {
        suspect_after_ms,
        lost_after_ms: suspect_after_ms + rng.u64(7_500..=20_000),
        flap_window_ms: flap_most_ms + rng.u64(0..=300_000),
        flap_first_ms: rng.u64(5_000..=30_000),
        flap_most_ms,
        mass_loss_percent: rng.u32(34..=75),
        router_silent_after_ms: rng.u64(2_500..=6_000),
        surge_percent: *pick(rng, &[10, 25, 50, 100]),
        unavailable_percent: *pick(rng, &[0, 0, 25, 50]),
        drain_percent: *pick(rng, &[1, 25, 50, 100]),
        start_grace_ms: rng.u64(20_000..=90_000),
        hung_start_ms: rng.u64(100_000..=300_000),
        failed_starts: rng.u32(1..=4),
        unhealthy_said_after_ms: rng.u64(0..=unhealthy_grace_ms),
        unhealthy_grace_ms,
        drain_grace_ms: rng.u64(5_000..=40_000),
        tunnel_margin_ms: rng.u64(0..=10_000),
        backoff_free_crashes: *pick(rng, &[0, 2, 9]),
        backoff_first_ms: rng.u64(500..=3_000),
        backoff_most_ms: rng.u64(60_000..=300_000),
        backoff_calm_ms: rng.u64(300_000..=900_000),
        ..bounded
    };
    debug_assert_eq!(drawn.check(), Ok(()), "a seed draws numbers that go together");
    drawn
}
