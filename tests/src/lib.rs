//! What the tests against real parts share: an installation of its own, an engine, and counted load.

use std::path::PathBuf;

/// The folder of the workspace.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}
