use std::path::Path;

use super::*;

/// A file that is in the folder and not in the list would never be applied.
#[test]
fn every_file_is_embedded_and_is_one_statement() {
    for (dialect, folder) in [(Dialect::Sqlite, "sqlite"), (Dialect::MySql, "mysql")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
        let mut files: Vec<String> = std::fs::read_dir(&path)
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().trim_end_matches(".sql").to_owned())
            .collect();
        files.sort();
        let listed: Vec<&str> = steps_of(dialect).iter().map(|step| step.name).collect();
        assert_eq!(files, listed, "{folder}");
        for step in steps_of(dialect) {
            assert!(!step.text.contains(';'), "{} has more than one statement", step.name);
            assert!(version_of(step.name).is_some_and(|version| (1..=SCHEMA_VERSION).contains(&version)), "{}", step.name);
        }
    }
}
