//! Every promise against a real Docker engine.

use std::process::ExitCode;

use dinp_tests::{runner, tests};

mod first_deploy;

fn main() -> ExitCode {
    runner::run(tests![first_deploy::a_binary_answers_through_the_router,])
}
