//! The store is away for longer than a node may be silent.

use dinp_common::deploy::Strategy;
use dinp_common::plan::{Change, Desired};
use dinp_common::size::MiB;
use dinp_planner::observed::Observed;
use dinp_planner::term::Term;

use crate::world::{Behaviour, World, app_name, domain};

struct Leader {
    term: Term,
    desired: Desired,
    world: World,
}

impl Leader {
    /// How many instances are placed by a pass at that time.
    fn places(&mut self, observed: &Observed, now_ms: u64) -> usize {
        let policy = &self.world.policy;
        let decided = self.term.decide(&self.desired, observed, policy, now_ms);
        self.term.stored(&decided, &mut self.desired, observed, &domain(), policy);
        decided.plan.changes.iter().filter(|change| matches!(change, Change::Place { .. })).count()
    }
}

/// Meanwhile its leader could welcome nobody whom it had not heard before.
#[test]
fn a_node_that_nobody_could_welcome_meanwhile_has_not_been_silent() {
    let mut world = World::new();
    for node in ["node-1", "node-2", "node-3"] {
        world.add_node(node, MiB(1024), 20);
    }
    world.add_router("r1");
    world.deploy(&app_name("shop"), 3, MiB(64), Behaviour::HealthyAfter(0), Strategy::Rolling);
    (0..3).for_each(|_| world.step(1_000, |_, _| {}));
    let mut observed = world.observed();
    let on_first = world.desired.instances[0].node.clone();
    observed.nodes.remove(&on_first);
    let (term, desired) = (Term::new(world.publisher.fence().clone(), 0), world.desired.clone());
    let mut leader = Leader { term, desired, world };

    assert_eq!(leader.places(&observed, 0), 0);
    let back = 60_000;
    assert_eq!(leader.places(&observed, back), 0, "the store answers again, and the node had no time to be heard");
    let lost_after = leader.world.policy.lost_after_ms;
    let replaced = (1..=lost_after / 1_000).find(|second| leader.places(&observed, back + second * 1_000) > 0);
    assert_eq!(
        replaced,
        Some((lost_after - leader.world.policy.pass_most_ms) / 1_000),
        "it stays silent, and is lost in the end"
    );
}
