//! With honest agents and routers a rolling change is never felt, whatever its size and pace.

use dinp_common::deploy::{DeployState, Strategy as Rollout};
use dinp_common::pace::{Pace, Share};
use dinp_common::size::MiB;
use dinp_planner::policy::Policy;
use proptest::prelude::*;

use super::config;
use crate::world::{Behaviour, World, app_name};

#[derive(Debug, Clone, Copy)]
enum Change {
    Deploy(u64),
    Restart,
    Rollback,
    ScaleTo(u32),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => prop_oneof![Just(0u64), Just(150), Just(700), Just(2_500)].prop_map(Change::Deploy),
        1 => Just(Change::Restart),
        1 => Just(Change::Rollback),
        1 => (1..8u32).prop_map(Change::ScaleTo),
    ]
}

/// What an app's people say of it, or nothing; what would move nothing is refused before it gets here.
fn paces() -> impl Strategy<Value = Pace> {
    let share = || prop::option::of(prop_oneof![(0..4u32).prop_map(Share::Count), (0..101u32).prop_map(Share::Percent)]);
    let pace = (share(), share()).prop_map(|(max_surge, max_unavailable)| Pace { max_surge, max_unavailable });
    pace.prop_filter("something has to move", |pace| !Policy::default().moves_nothing(*pace))
}

fn honest(nodes: u32, memory: u64, addresses: u32) -> World {
    let mut world = World::new();
    (1..=nodes).for_each(|n| world.add_node(&format!("node-{n}"), MiB(memory), addresses));
    world.add_router("r1");
    world.add_router("r2");
    world
}

fn apply(world: &mut World, change: Change, wanted: u32) {
    let shop = app_name("shop");
    let live = world.desired.app(&shop).and_then(|app| app.live).expect("something is live");
    match change {
        Change::Deploy(delay) => world.deploy(&shop, wanted, MiB(64), Behaviour::HealthyAfter(delay), Rollout::Rolling),
        Change::Restart => world.restart(&shop),
        Change::Rollback => world.rollback(&shop, live),
        Change::ScaleTo(instances) => world.scale(&shop, instances),
    };
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn a_rolling_change_never_drops_below_what_is_wanted(
        first in 1..8u32,
        step in prop_oneof![Just(50u64), Just(300), Just(1_000)],
        unavailable in prop_oneof![2 => Just(0u32), 1 => Just(30)],
        pace in paces(),
        history in prop::collection::vec((changes(), 0..6_000u64), 1..6),
    ) {
        let mut world = honest(2, 8192, 64);
        world.policy.unavailable_percent = unavailable;
        let shop = app_name("shop");
        world.pace(&shop, pace);
        let mut wanted = first;
        world.deploy(&shop, first, MiB(64), Behaviour::HealthyAfter(100), Rollout::Rolling);
        (0..4).for_each(|_| world.step(1_000, |_, _| {}));
        for (change, pause) in history.into_iter().chain([(Change::Deploy(200), 40_000)]) {
            // Those of a raised number have yet to come, so the lower one is what must serve.
            let mut floor = wanted;
            if let Change::ScaleTo(instances) = change {
                (floor, wanted) = (wanted.min(instances), instances);
            }
            floor = (floor - world.policy.unavailable(pace, floor)).min(world.routed(&shop).len() as u32);
            apply(&mut world, change, wanted);
            for _ in 0..pause.div_ceil(step) {
                world.step(step, |world, _| {
                    for router in world.routers.values() {
                        let routed: usize = router.table.values().map(|route| route.endpoints.len()).sum();
                        assert!(routed >= floor as usize, "{routed} serve, {floor} should");
                    }
                });
            }
        }
        prop_assert_eq!(world.finished.last().map(|(_, _, state, _)| *state), Some(DeployState::Succeeded));
        prop_assert_eq!(world.routed(&shop).len(), wanted as usize);
        prop_assert_eq!(world.violations, Vec::<String>::new());
    }
}

/// The surge of a thousand is a quarter of it, and a node's thousand places bound it.
#[test]
fn a_thousand_instances_roll_within_the_places_there_are() {
    let mut world = honest(2, 1_000_000, 1_000);
    let shop = app_name("shop");
    for behaviour in [Behaviour::HealthyAfter(0), Behaviour::HealthyAfter(100)] {
        world.deploy(&shop, 1_000, MiB(64), behaviour, Rollout::Rolling);
        for _ in 0..8 {
            let floor = world.routed(&shop).len();
            let most =
                world.desired.instances.iter().filter(|instance| instance.want == dinp_common::instance::Want::Run).count();
            assert!(most <= 1_250, "{most} run at once");
            world.step(200, |world, _| assert!(world.routed(&shop).len() >= floor.min(1_000)));
        }
        assert_eq!(world.routed(&shop).len(), 1_000);
        assert!(world.desired.deploys.is_empty(), "{:?}", world.holds);
    }
}
