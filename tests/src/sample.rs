//! The sample app as tests use it: a static binary, in as many different builds as wanted.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The static binary that `deploy/test` built.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("DINP_TEST_SAMPLE")
        .map_or_else(|| crate::root().join("target/x86_64-unknown-linux-gnu/release/dinp-sample"), PathBuf::from);
    assert!(path.exists(), "{} is missing: ./deploy/test builds it", path.display());
    path
}

/// The same program with other bytes, as a new version has: what follows the last section is never loaded.
pub fn version(folder: &Path, mark: &str) -> PathBuf {
    let path = folder.join(format!("sample-{mark}"));
    std::fs::copy(binary(), &path).expect("copy");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("open");
    writeln!(file, "\nversion {mark}").expect("append");
    path
}
