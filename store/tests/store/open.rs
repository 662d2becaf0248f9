//! Opening stores, sound and unsound.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use dinp_store::{SCHEMA_VERSION, Store, StoreError, StoreUrl};

use crate::database::Database;
use crate::given::*;
use crate::on_both;

on_both! {
    async fn a_store_opens_again_as_the_same_cluster(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let again = db.second().await;
        assert_eq!(again.cluster(), db.store.cluster());
        assert_eq!(again.desired_load().await, db.store.desired_load().await);
    }

    async fn tables_one_version_newer_are_accepted_and_two_are_not(db: Database) {
        db.by_hand(&format!("INSERT INTO migrations (name, checksum) VALUES ('{:04}_01_x', 'y')", SCHEMA_VERSION + 1)).await;
        db.by_hand("ALTER TABLE apps ADD COLUMN later BIGINT NOT NULL DEFAULT 0").await;
        let store = db.second().await;
        deployed(&store, "shop", 1).await;
        assert_eq!(store.desired_load().await.expect("reads").apps.len(), 1);
        db.by_hand(&format!("INSERT INTO migrations (name, checksum) VALUES ('{:04}_01_x', 'y')", SCHEMA_VERSION + 2)).await;
        let Err(error) = Store::open(&db.url).await else { panic!("it is too new") };
        assert_eq!(error, StoreError::Newer { found: SCHEMA_VERSION + 2, known: SCHEMA_VERSION });
        assert!(error.to_string().contains("start the newer program again"), "{error}");
    }

    async fn a_step_that_was_another_is_named(db: Database) {
        db.by_hand("UPDATE migrations SET checksum = 'x' WHERE name = '0001_01_meta'").await;
        let Err(error) = Store::open(&db.url).await else { panic!("a step differs") };
        assert!(matches!(&error, StoreError::Schema { why } if why.contains("0001_01_meta")), "{error}");
    }

    /// A rule that is broken is no reason to try again.
    async fn a_broken_rule_is_a_conflict(db: Database) {
        deployed(&db.store, "shop", 1).await;
        db.by_hand("UPDATE counters SET value = 0 WHERE name = 'event'").await;
        let error = db.store.event_append(&note("the id is taken", None), "ann").await.expect_err("a key twice");
        assert!(matches!(error, StoreError::Conflict { .. }) && !error.is_transient(), "{error:?}");
    }

    /// Servers that start together make the tables once.
    async fn a_store_opens_many_times_at_once(db: Database) {
        let tasks: Vec<_> = (0..4).map(|_| { let url = db.url.clone(); tokio::spawn(async move { Store::open(&url).await }) }).collect();
        for task in tasks {
            let store = task.await.expect("runs").expect("opens");
            assert_eq!(store.cluster(), db.store.cluster());
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    std::fs::write(&path, "not a database, whatever its name says\n".repeat(200)).expect("writes");
    let Err(error) = Store::open(&StoreUrl::Sqlite(path)).await else { panic!("it is no database") };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    let words = error.to_string();
    assert!(words.contains("state.db") && words.contains("damaged") && words.contains("backup"), "{words}");
}

#[tokio::test]
async fn a_damaged_page_is_found_at_once() {
    let db = Database::sqlite().await;
    let folder = tempfile::tempdir().expect("a folder");
    for n in 0..20 {
        deployed(&db.store, &format!("shop{n}"), 1).await;
    }
    let copy = folder.path().join("copy.db");
    db.by_hand(&format!("VACUUM INTO '{}'", copy.display())).await;
    let mut file = std::fs::OpenOptions::new().write(true).open(&copy).expect("opens");
    file.seek(SeekFrom::Start(3 * 4096)).expect("seeks");
    file.write_all(&[0xa5; 8 * 4096]).expect("writes");
    let Err(error) = Store::open(&StoreUrl::Sqlite(copy)).await else { panic!("it is damaged") };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_path_that_cannot_be_opened_is_named() {
    let Err(error) = Store::open(&StoreUrl::Sqlite("/nowhere/at/all/state.db".into())).await else { panic!("no folder") };
    assert!(error.to_string().contains("/nowhere/at/all/state.db"), "{error}");
}

#[tokio::test]
async fn the_file_is_for_its_owner_only() {
    let db = Database::sqlite().await;
    let StoreUrl::Sqlite(path) = &db.url else { panic!("a file") };
    for file in [path.clone(), path.with_extension("db-wal")] {
        let mode = std::fs::metadata(&file).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

/// A power cut may take the last ids given with it; they must not be given to others.
#[tokio::test]
async fn a_new_start_of_the_machine_leaves_a_gap_in_the_ids() {
    let db = Database::sqlite().await;
    assert_eq!(db.second().await.desired_load().await.expect("reads").next_instance, 1, "the machine has not started anew");
    db.store.meta_set("boot", "another").await.expect("keeps");
    assert_eq!(db.second().await.desired_load().await.expect("reads").next_instance, 65_537);
    assert_eq!(db.second().await.desired_load().await.expect("reads").next_instance, 65_537);
}
