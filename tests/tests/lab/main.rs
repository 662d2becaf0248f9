//! Every promise against a real Docker engine.

use std::process::ExitCode;

use dinp_tests::{runner, tests};

mod artifacts;
mod crashes;
mod failures;
mod first_deploy;
mod kill9;
mod kinds;
mod machine;
mod ours_alone;
mod promises;
mod readme;
mod split;
mod wrong_inputs;
mod zero_loss;

fn main() -> ExitCode {
    runner::run(tests![
        // Those with an installation of their own come first: some compare the engine before and after.
        ours_alone::containers_of_others_are_never_touched,
        ours_alone::purge_leaves_the_machine_as_it_was,
        ours_alone::purge_works_with_a_corrupt_state,
        split::separate_processes_on_mariadb_and_redis_converge_whatever_happens,
        kill9::at_each_named_point_of_a_deploy_nothing_is_lost_doubled_or_stuck,
        kill9::the_keeper_starts_what_was_killed,
        kill9::an_up_that_dies_half_way_leaves_a_router_that_the_next_one_and_stop_find,
        kill9::an_app_that_died_with_the_control_plane_comes_back_with_it,
        machine::after_a_reboot_every_app_serves_again_and_only_its_own,
        machine::a_changed_binary_upgrades_in_place_and_loses_nothing,
        machine::every_process_says_how_it_is_on_an_address_that_can_be_changed_under_load,
        machine::without_docker_it_says_so_keeps_trying_and_keeps_routing,
        machine::many_deploys_leave_the_disk_level,
        machine::a_full_disk_refuses_and_loses_nothing,
        first_deploy::a_binary_answers_through_the_router,
        first_deploy::the_command_line_deploys_and_says_where,
        first_deploy::curl_with_a_token_deploys,
        first_deploy::a_local_image_is_deployed_by_its_digest,
        first_deploy::the_command_line_follows_an_app_through_its_life,
        kinds::a_binary_of_another_machine_is_refused,
        kinds::an_archive_with_control_runs,
        kinds::a_folder_of_static_files_is_served,
        kinds::a_python_app_runs,
        kinds::java_archives_run,
        readme::every_command_in_the_readme_works,
        zero_loss::deploys_of_one_instance_lose_nothing,
        zero_loss::deploys_of_three_instances_lose_nothing,
        zero_loss::scaling_up_and_down_loses_nothing,
        zero_loss::rollback_and_restart_lose_nothing,
        zero_loss::a_websocket_lives_through_the_drain_and_is_closed_with_1001,
        failures::a_release_that_crashes_fails_with_its_last_words,
        failures::a_release_that_never_is_healthy_fails,
        failures::a_release_on_the_wrong_port_is_told_where_it_listens,
        failures::a_release_on_loopback_is_told_to_listen_on_all_addresses,
        failures::an_image_that_does_not_exist_is_refused_before_anything_starts,
        failures::a_release_whose_image_somebody_removed_fails_without_a_container,
        wrong_inputs::archives_that_are_none_or_attack_are_refused,
        wrong_inputs::a_bomb_ends_in_a_refusal_and_not_in_a_full_disk,
        wrong_inputs::names_numbers_and_sizes_are_checked,
        wrong_inputs::an_app_too_big_for_a_second_one_is_told_its_choices,
        wrong_inputs::a_second_up_and_a_taken_port_are_said,
        wrong_inputs::ctrl_c_in_an_upload_leaves_nothing_behind,
        crashes::a_killed_instance_is_replaced_and_the_others_are_unhurt,
        crashes::an_app_that_ends_by_itself_is_replaced_and_said,
        crashes::a_crash_loop_backs_off_and_other_apps_do_not_feel_it,
    ])
}
