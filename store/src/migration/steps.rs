//! The statements that make the tables, one a file, embedded.

use super::Step;

macro_rules! step {
    ($dialect:literal, $name:literal) => {
        Step { name: $name, text: include_str!(concat!("../../migrations/", $dialect, "/", $name, ".sql")) }
    };
}

/// In the order of their names.
pub(super) const SQLITE: &[Step] = &[
    step!("sqlite", "0001_01_meta"),
    step!("sqlite", "0001_02_counters"),
    step!("sqlite", "0001_03_lease"),
    step!("sqlite", "0001_04_apps"),
    step!("sqlite", "0001_05_releases"),
    step!("sqlite", "0001_06_builds"),
    step!("sqlite", "0001_07_builds_by_state"),
    step!("sqlite", "0001_08_builds_by_app"),
    step!("sqlite", "0001_09_build_log"),
    step!("sqlite", "0001_10_deploys"),
    step!("sqlite", "0001_11_deploys_by_state"),
    step!("sqlite", "0001_12_deploys_by_build"),
    step!("sqlite", "0001_13_instances"),
    step!("sqlite", "0001_14_instances_by_release"),
    step!("sqlite", "0001_15_nodes"),
    step!("sqlite", "0001_16_routers"),
    step!("sqlite", "0001_17_events"),
    step!("sqlite", "0001_18_events_by_app"),
    step!("sqlite", "0001_19_tokens"),
    step!("sqlite", "0001_20_idempotency"),
    step!("sqlite", "0001_21_idempotency_by_age"),
    step!("sqlite", "0001_22_seed_counters"),
    step!("sqlite", "0001_23_seed_lease"),
    step!("sqlite", "0002_01_release_cpu"),
    step!("sqlite", "0002_02_release_placement"),
    step!("sqlite", "0002_03_token_origins"),
    step!("sqlite", "0003_01_deploys_before_instances"),
    step!("sqlite", "0003_02_deploys_before_stopped"),
    step!("sqlite", "0003_03_deploys_paused"),
    step!("sqlite", "0003_04_deploys_paused_ms"),
    step!("sqlite", "0003_05_nodes_draining"),
    step!("sqlite", "0004_01_apps_max_surge"),
    step!("sqlite", "0004_02_apps_max_unavailable"),
    step!("sqlite", "0005_01_rebalances"),
];

/// In the order of their names.
pub(super) const MYSQL: &[Step] = &[
    step!("mysql", "0001_01_meta"),
    step!("mysql", "0001_02_counters"),
    step!("mysql", "0001_03_lease"),
    step!("mysql", "0001_04_apps"),
    step!("mysql", "0001_05_releases"),
    step!("mysql", "0001_06_builds"),
    step!("mysql", "0001_07_build_log"),
    step!("mysql", "0001_08_deploys"),
    step!("mysql", "0001_09_instances"),
    step!("mysql", "0001_10_nodes"),
    step!("mysql", "0001_11_routers"),
    step!("mysql", "0001_12_events"),
    step!("mysql", "0001_13_tokens"),
    step!("mysql", "0001_14_idempotency"),
    step!("mysql", "0001_15_seed_counters"),
    step!("mysql", "0001_16_seed_lease"),
    step!("mysql", "0002_01_release_cpu"),
    step!("mysql", "0002_02_release_placement"),
    step!("mysql", "0002_03_token_origins"),
    step!("mysql", "0003_01_deploys_before_instances"),
    step!("mysql", "0003_02_deploys_before_stopped"),
    step!("mysql", "0003_03_deploys_paused"),
    step!("mysql", "0003_04_deploys_paused_ms"),
    step!("mysql", "0003_05_nodes_draining"),
    step!("mysql", "0004_01_apps_max_surge"),
    step!("mysql", "0004_02_apps_max_unavailable"),
    step!("mysql", "0005_01_rebalances"),
];
