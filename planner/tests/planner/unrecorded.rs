//! A router that speaks and is not recorded: the database has lost its tail since it joined.

use dinp_common::deploy::Strategy;
use dinp_common::instance::Want;
use dinp_common::size::MiB;

use crate::world::{Behaviour, World, app_name, router_id};

#[test]
fn a_router_that_speaks_is_waited_for_whether_the_database_knows_it_or_not() {
    let mut world = World::new();
    world.add_node("node-1", MiB(4096), 50);
    world.add_router("r1");
    world.add_router("r2");
    let shop = app_name("shop");
    world.deploy(&shop, 2, MiB(64), Behaviour::HealthyAfter(0), Strategy::Rolling);
    (0..3).for_each(|_| world.step(1_000, |_, _| {}));

    let lost = router_id("r2");
    world.desired.routers.retain(|router| *router != lost);
    world.routers.get_mut(&lost).expect("it joined").stalled = true;
    world.scale(&shop, 1);
    (0..3).for_each(|_| world.step(1_000, |_, _| {}));
    let wants = |world: &World| world.desired.instances_of(&shop).map(|instance| instance.want).collect::<Vec<_>>();
    assert!(wants(&world).contains(&Want::Drain) && !wants(&world).contains(&Want::Stop), "it may still be sent requests");

    world.routers.get_mut(&lost).expect("it joined").stalled = false;
    (0..3).for_each(|_| world.step(1_000, |_, _| {}));
    assert_eq!(wants(&world), [Want::Run]);
}
