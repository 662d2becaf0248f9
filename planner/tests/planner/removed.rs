//! What the record wants to run and its agent has removed, as after a lost tail of commits.

use dinp_common::deploy::Strategy;
use dinp_common::instance::Want;
use dinp_common::plan::Change;
use dinp_common::size::MiB;

use crate::world::{Behaviour, World, app_name};

#[test]
fn its_room_is_given_to_nobody_before_it_is_stopped() {
    let mut world = World::new();
    world.add_node("node-1", MiB(256), 5);
    world.add_router("r1");
    let deploy = |world: &mut World, app: &str| {
        world.deploy(&app_name(app), 1, MiB(256), Behaviour::HealthyAfter(0), Strategy::Rolling);
    };
    deploy(&mut world, "blog");
    world.step(1_000, |_, _| ());
    let id = world.desired.instances.first().expect("placed").id.clone();
    world.containers.get_mut(&id).expect("created").gone = true;
    deploy(&mut world, "shop");

    // Its agent, started anew, would make its container again, so this pass places nothing in its room.
    let (plan, _) = world.pass(0);
    let stops = |change: &Change| matches!(change, Change::Move { instance, want: Want::Stop, .. } if *instance == id);
    assert!(plan.changes.iter().any(stops), "{:#?}", plan.changes);
    assert!(!plan.changes.iter().any(|change| matches!(change, Change::Place { .. })), "{:#?}", plan.changes);

    let (plan, _) = world.pass(0);
    assert!(plan.changes.iter().any(|change| matches!(change, Change::Place { .. })), "{:#?}", plan.changes);
}
