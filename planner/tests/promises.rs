//! The promises to users, as the leader's pass keeps them.

mod world;

use dinp_common::deploy::{Cause, DeployKind, DeployState, Strategy};
use dinp_common::release::ReleaseNo;
use dinp_common::size::MiB;
use world::{Behaviour, World, app_name};

const GOOD: Behaviour = Behaviour::HealthyAfter(500);

fn running(instances: u32) -> World {
    let mut world = World::new(&[("node-1", 8192)]);
    world.deploy("shop", instances, MiB(256), GOOD, Strategy::Rolling);
    world.run(5_000);
    assert_eq!(world.finished.len(), 1);
    assert_eq!(world.finished[0].2, DeployState::Succeeded, "{:?}", world.finished);
    assert_eq!(world.routed("shop").len(), instances as usize);
    world
}

fn last(world: &World) -> (DeployState, Option<Cause>) {
    let (_, _, state, failure) = world.finished.last().expect("a deploy ended");
    (*state, failure.as_ref().map(|failure| failure.cause))
}

#[test]
fn a_new_release_serves_before_the_old_one_leaves() {
    for instances in [1, 3] {
        let mut world = running(instances);
        world.deploy("shop", instances, MiB(256), GOOD, Strategy::Rolling);
        for _ in 0..200 {
            world.pass(100);
            assert!(world.routed("shop").len() >= instances as usize, "strength fell");
        }
        assert_eq!(last(&world), (DeployState::Succeeded, None));
        assert_eq!(world.routed("shop"), vec![ReleaseNo(2); instances as usize]);
        assert_eq!(world.desired.instances.len(), instances as usize, "the old ones are forgotten");
    }
}

#[test]
fn a_bad_release_never_touches_the_old_one() {
    for (behaviour, cause) in
        [(Behaviour::ExitsAfter(200, 1), Cause::CrashedOnStart), (Behaviour::NeverHealthy, Cause::WrongAddress)]
    {
        let mut world = running(2);
        let before = world.ids("shop");
        world.deploy("shop", 2, MiB(256), behaviour, Strategy::Rolling);
        for _ in 0..1000 {
            world.pass(100);
            assert_eq!(world.routed("shop"), vec![ReleaseNo(1); 2]);
        }
        assert_eq!(last(&world), (DeployState::Failed, Some(cause)));
        assert_eq!(world.ids("shop"), before);
        assert_eq!(world.desired.instances.len(), 2);
    }
}

#[test]
fn scaling_changes_the_number_and_nothing_else() {
    let mut world = running(1);
    let first = world.ids("shop");
    for wanted in [4, 1] {
        world.change_app(&app_name("shop"), |app| app.instances = wanted);
        world.begin(&app_name("shop"), DeployKind::Scale, None, None, Strategy::Rolling);
        world.run(5_000);
        assert_eq!(last(&world), (DeployState::Succeeded, None));
        assert_eq!(world.routed("shop").len(), wanted as usize);
    }
    assert_eq!(world.ids("shop"), first, "the oldest stays");
}

#[test]
fn a_crashed_instance_is_replaced_at_once_and_a_loop_backs_off() {
    let mut world = running(1);
    let mut lives = Vec::new();
    for _ in 0..4 {
        let id = world.ids("shop").into_iter().next().expect("one");
        let container = world.containers.get_mut(&id).expect("runs");
        container.behaviour = Behaviour::ExitsAfter(0, 1);
        let mut waited = 0;
        while world.ids("shop").contains(&id) || world.routed("shop").is_empty() {
            world.pass(100);
            waited += 100;
            assert!(waited < 20_000, "never replaced: {:?}", world.holds);
        }
        lives.push(waited);
    }
    assert!(lives[0] < 1_500, "the first crash heals at once: {lives:?}");
    assert!(lives[3] > lives[1] + 1_000, "later ones wait longer: {lives:?}");
}

#[test]
fn deleting_the_last_app_removes_its_containers_and_then_its_record() {
    let mut world = running(2);
    world.change_app(&app_name("shop"), |app| app.deleted = true);
    world.begin(&app_name("shop"), DeployKind::Delete, None, None, Strategy::Rolling);
    world.run(3_000);
    assert!(world.desired.apps.is_empty() && world.desired.instances.is_empty());
    assert!(world.containers.values().all(|container| container.gone));
}

#[test]
fn recreate_waits_until_the_old_ones_are_gone() {
    let mut world = running(2);
    world.deploy("shop", 2, MiB(6000), GOOD, Strategy::Recreate);
    let mut gap = false;
    for _ in 0..100 {
        world.pass(100);
        let routed = world.routed("shop");
        gap |= routed.is_empty();
        assert!(!(routed.contains(&ReleaseNo(1)) && routed.contains(&ReleaseNo(2))));
    }
    assert!(gap);
}

#[test]
fn no_router_to_confirm_means_nothing_is_withdrawn_and_the_deploy_fails() {
    let mut world = running(1);
    world.router_silent_ms = 60_000;
    world.deploy("shop", 1, MiB(256), GOOD, Strategy::Rolling);
    world.run(310_000);
    assert_eq!(last(&world), (DeployState::Failed, Some(Cause::NotRouted)));
    assert!(world.routed("shop").contains(&ReleaseNo(1)));
}

#[test]
fn a_new_leader_that_has_heard_nobody_keeps_every_route() {
    let mut world = running(3);
    let before = world.routed("shop");
    world.silent.insert(world::node_name("node-1"), u64::MAX);
    world.new_leader();
    world.run(5_000);
    assert_eq!(world.routed("shop"), before);
    world.run(60_000);
    assert_eq!(world.routed("shop"), before, "the only node is lost: the brake holds");
}
