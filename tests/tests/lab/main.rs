//! Every promise against a real Docker engine.

use std::process::ExitCode;

use dinp_tests::{runner, tests};

mod crashes;
mod failures;
mod first_deploy;
mod kill9;
mod ours_alone;
mod zero_loss;

fn main() -> ExitCode {
    runner::run(tests![
        first_deploy::a_binary_answers_through_the_router,
        first_deploy::the_command_line_deploys_and_says_where,
        first_deploy::curl_with_a_token_deploys,
        first_deploy::a_local_image_is_deployed_by_its_digest,
        first_deploy::the_command_line_follows_an_app_through_its_life,
        zero_loss::deploys_of_one_instance_lose_nothing,
        zero_loss::deploys_of_three_instances_lose_nothing,
        zero_loss::scaling_up_and_down_loses_nothing,
        zero_loss::rollback_and_restart_lose_nothing,
        zero_loss::a_websocket_lives_through_the_drain_and_is_closed_with_1001,
        failures::a_release_that_crashes_fails_with_its_last_words,
        failures::a_release_that_never_is_healthy_fails,
        failures::a_release_on_the_wrong_port_is_told_where_it_listens,
        failures::a_release_on_loopback_is_told_to_listen_on_all_addresses,
        failures::a_missing_image_fails_without_a_container,
        crashes::a_killed_instance_is_replaced_and_the_others_are_unhurt,
        crashes::an_app_that_ends_by_itself_is_replaced_and_said,
        crashes::a_crash_loop_backs_off_and_other_apps_do_not_feel_it,
        kill9::at_each_named_point_of_a_deploy_nothing_is_lost_doubled_or_stuck,
        kill9::the_keeper_starts_what_was_killed,
        kill9::an_app_that_died_with_the_control_plane_comes_back_with_it,
        ours_alone::containers_of_others_are_never_touched,
        ours_alone::purge_leaves_the_machine_as_it_was,
        ours_alone::purge_works_with_a_corrupt_state,
    ])
}
