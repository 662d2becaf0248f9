//! What the tests against real parts share: an installation of its own on an engine of its own, and counted load.

pub mod docker;
pub mod engine;
pub mod http;
pub mod lab;
pub mod load;
pub mod process;
pub mod runner;
pub mod sample;
pub mod sim;
pub mod wait;

use std::path::PathBuf;

/// The folder of the workspace.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The debug binary under test, as `cargo build` left it beside this one, or `DINP_TEST_BINARY`.
pub fn dinp() -> PathBuf {
    if let Some(path) = std::env::var_os("DINP_TEST_BINARY") {
        return path.into();
    }
    let deps = std::env::current_exe().expect("our own path");
    let built = deps.ancestors().nth(2).expect("target/debug").join("dinp");
    assert!(built.exists(), "{} is missing: run cargo build first", built.display());
    built
}
