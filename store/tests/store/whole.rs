//! The suite is whole: no query escapes it.

use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

fn text_of(folder: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    sources(&folder).iter().map(|path| std::fs::read_to_string(path).expect("reads")).collect()
}

#[test]
fn every_method_of_the_store_is_called_here() {
    let (code, tests) = (text_of("src"), text_of("tests"));
    let methods: Vec<&str> = code
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub async fn "))
        .filter_map(|rest| rest.split('(').next())
        .collect();
    assert!(methods.len() > 40, "the methods are found: {methods:?}");
    let missing: Vec<&&str> = methods.iter().filter(|name| !tests.contains(&format!("{name}("))).collect();
    assert!(missing.is_empty(), "{missing:?} run in no test");
}
