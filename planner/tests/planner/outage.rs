//! What a leader makes of the time in which its store did not answer, and nobody who came was let in.

use dinp_common::deploy::Strategy;
use dinp_common::plan::{Change, Desired};
use dinp_common::size::MiB;
use dinp_planner::observed::Observed;
use dinp_planner::policy::Policy;
use dinp_planner::term::Term;

use crate::world::{Behaviour, World, app_name, domain, node_name};

/// Two nodes with one instance each, and the reports of both.
fn world() -> World {
    let mut world = World::new();
    world.add_node("node-1", MiB(4096), 50);
    world.add_node("node-2", MiB(4096), 50);
    world.add_router("r1");
    world.deploy(&app_name("shop"), 2, MiB(64), Behaviour::HealthyAfter(0), Strategy::Rolling);
    (0..3).for_each(|_| world.step(1_000, |_, _| {}));
    world
}

/// A pass at `now_ms`; how many instances it places.
fn places(term: &mut Term, desired: &mut Desired, observed: &Observed, now_ms: u64) -> usize {
    let policy = Policy::default();
    let decided = term.decide(desired, observed, &policy, now_ms);
    term.stored(&decided, desired, observed, &domain(), &policy);
    decided.plan.changes.iter().filter(|change| matches!(change, Change::Place { .. })).count()
}

#[test]
fn a_node_that_nobody_could_let_in_is_not_lost_when_the_store_is_back() {
    let world = world();
    let first = node_name("node-1");
    for known in [false, true] {
        let mut desired = world.desired.clone();
        let mut term = Term::new(world.publisher.fence().clone(), 0);
        // Its last connection ended at 0, or there was none yet.
        let mut pass = |now_ms: u64| {
            let mut observed = world.observed();
            match observed.nodes.get_mut(&first).filter(|_| known) {
                Some(seen) => seen.silent_ms = now_ms,
                None => drop(observed.nodes.remove(&first)),
            }
            places(&mut term, &mut desired, &observed, now_ms)
        };
        assert_eq!([pass(0), pass(1_000)], [0, 0]);
        // The store answers again.
        for now_ms in (41_000..51_000).step_by(1_000) {
            assert_eq!(pass(now_ms), 0, "known {known}, at {now_ms}");
        }
        assert_eq!(pass(51_000), 1, "known {known}: it has had its time, and is lost");
    }
}
