//! Every file in `tests/scenarios` is a promise: a script, a line `---`, and what the leader decides.
//! `UPDATE=1 cargo test -p dinp-planner` writes the decisions anew; read the difference before keeping it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::script;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn check(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (given, expected) = text.split_once("---\n").unwrap_or((&text, ""));
    let decided = format!("{}\n", script::run(given));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{given}---\n{decided}")).expect("the scenario can be written");
    } else if decided != expected {
        let at = decided.lines().zip(expected.lines()).take_while(|(a, b)| a == b).count();
        let line = |text: &str| text.lines().nth(at).unwrap_or("(the end)").to_owned();
        panic!("{name} differs at line {at}\nexpected {}\ndecided  {}\n\nall of it:\n{decided}", line(expected), line(&decided));
    }
}

macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        $(#[test] fn $name() { check(stringify!($name)); })+

        #[test]
        fn every_scenario_file_is_run() {
            let files = std::fs::read_dir(folder()).expect("the folder").map(|entry| entry.expect("an entry").path());
            let files: BTreeSet<String> = files.map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
            let run: BTreeSet<String> = [$(stringify!($name)),+].map(str::to_owned).into();
            assert_eq!(files, run);
        }
    };
}

scenarios!(
    address_not_reused_before_every_recorded_router,
    app_s_own_surge_starts_so_many_at_once,
    app_that_may_miss_one_needs_no_room_for_one_more,
    at_most_one_on_a_node,
    brake_holds_until_who_came_back_has_stayed,
    build_deadline,
    build_then_rollout,
    cancelled_deploy_returns_to_the_last_good_release,
    cancelled_first_deploy_leaves_nothing,
    cancelled_rebalance_does_not_begin_by_itself_again,
    cancelled_rebalance_keeps_what_has_moved,
    cancelled_scale_returns_to_the_number_before,
    cordoned_node_gets_nothing_new,
    crash_is_replaced_at_once,
    crash_loop_backs_off,
    delete_last_app_removes_containers_then_record,
    delete_while_building,
    delete_with_a_lost_node_ends_and_finishes_later,
    deploy_deadline,
    deploy_during_a_rebalance_goes_first,
    drain_cut_after_grace,
    drain_during_a_rollout_sends_the_new_ones_elsewhere,
    drain_has_nowhere_to_go_and_says_so,
    drain_moves_everything_start_first_with_a_limit_per_app,
    drain_of_a_router_that_went_silent_takes_its_grace,
    drain_waits_for_in_flight,
    drain_waits_where_nothing_fits_and_is_cancelled,
    drain_waits_while_too_many_nodes_are_lost,
    drain_with_a_slow_router_keeps_the_one_that_comes,
    drained_instance_that_crashes_comes_back_elsewhere,
    draining_instance_that_dies_goes_at_once,
    each_step_of_a_start_has_its_own_time,
    failed_health_keeps_old,
    failed_recreate_starts_the_old_release_again,
    failed_rollout_midway_returns_to_old_strength,
    failed_start_keeps_old,
    first_deploy_fails_and_the_next_one_serves,
    forgotten_pause_is_cancelled,
    good_release_heals_a_crash_loop_at_once,
    hung_docker_stops_nobody_else,
    hung_start_of_a_good_release_is_tried_again,
    last_healthy_not_removed_on_health_check,
    mass_loss_brake,
    mass_loss_lets_no_deploy_take_what_may_serve,
    missing_image_keeps_old,
    new_leader_in_the_middle_of_a_rollout,
    new_leader_keeps_routes,
    new_leader_waits_for_every_router,
    no_free_address_is_no_room,
    no_room_fails_with_choices,
    node_lost_moves_its_instances,
    node_lost_while_its_instances_drain,
    node_lost_without_room_elsewhere_keeps_its_route,
    node_that_comes_and_goes_is_trusted_again_after_a_while,
    node_that_stutters_loses_nothing,
    nobody_leaves_while_it_is_not_known_who_serves,
    old_instance_that_dies_during_a_rollout_is_replaced,
    one_silent_router_is_not_waited_for,
    only_node_is_trusted_however_it_comes_and_goes,
    only_node_that_could_ever_take_it_is_trusted,
    paused_deploy_holds_and_goes_on,
    paused_deploy_is_superseded_by_a_newer_wish,
    paused_deploy_replaces_what_the_live_release_loses,
    paused_scale_up_stays_where_it_is,
    placed_by_labels,
    placed_over_zones_first,
    processors_are_reserved_when_asked,
    rebalance_begins_by_itself_when_a_node_joins_or_comes_back,
    rebalance_fills_a_new_node_and_ends,
    rebalance_gives_a_move_up_when_the_new_node_is_lost,
    rebalance_gives_a_move_up_where_the_successor_does_not_serve,
    rebalance_goes_on_under_a_new_leader,
    rebalance_keeps_zones_labels_and_limits,
    rebalance_leaves_apps_alone_that_are_being_changed,
    rebalance_waits_while_too_many_nodes_are_lost,
    rebalance_with_one_node_has_nowhere_to_go,
    reboot_is_not_a_crash_loop,
    recreate_does_not_wait_for_a_lost_node,
    recreate_waits_for_old_gone,
    restart,
    restart_superseded_by_a_release,
    rollback,
    rolling_goes_on_when_a_drain_frees_room,
    rolling_one_instance_starts_before_it_stops,
    rolling_three_go_one_by_one,
    router_silent_holds_withdrawal,
    scale_1_4_1,
    scale_down_takes_the_unhealthy_then_the_crowded_then_the_young,
    scale_down_while_starting,
    scaled_down_while_all_are_ill_still_gets_a_well_one,
    scale_during_a_rollout,
    scale_to_none_and_back,
    sick_instance_leaves_the_routes_and_returns,
    sick_instance_replaced_start_first,
    stalled_router_fails_the_deploy,
    start_that_many_leaders_saw_fails_with_all_its_time,
    stand_in_of_the_live_release_stays_until_it_serves,
    stop_while_a_rollout_runs,
    stop_while_an_instance_hangs_in_its_start,
    stopped_app_starts_again,
    superseded_rollout,
    two_apps_share_the_nodes,
    unavailable_lets_a_rollout_through_where_no_room_is_left,
    unavailable_never_takes_the_last_one,
    unhealthy_all_instances_none_removed,
    unhealthy_old_instance_during_a_rollout_goes_first,
    what_no_node_can_take_waits_with_its_reasons,
);
