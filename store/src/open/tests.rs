use super::*;

async fn pragma(store: &Store, durability: Durability, text: &'static str) -> String {
    let mut session = store.single_with(durability).await.expect("a connection");
    let row = session.row(sql(text)).await.expect("answers").expect("a row");
    // SQLite calls the column by another name for this one only.
    let name = text.trim_start_matches("PRAGMA ").trim_start_matches("busy_");
    row.text(name).or_else(|_| row.number::<i64>(name).map(|number| number.to_string())).expect("a value")
}

/// What people ask for is on the disk when it is acknowledged (synchronous 2, FULL); progress costs no sync
/// (1, NORMAL). See https://sqlite.org/pragma.html#pragma_synchronous
#[tokio::test]
async fn each_kind_of_write_has_its_durability() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&StoreUrl::Sqlite(folder.path().join("state.db"))).await.expect("opens");
    for (durability, synchronous) in [(Durability::Progress, "1"), (Durability::Durable, "2")] {
        assert_eq!(pragma(&store, durability, "PRAGMA synchronous").await, synchronous, "{durability:?}");
        assert_eq!(pragma(&store, durability, "PRAGMA journal_mode").await, "wal");
        assert_eq!(pragma(&store, durability, "PRAGMA foreign_keys").await, "1");
        assert_eq!(pragma(&store, durability, "PRAGMA busy_timeout").await, "5000");
    }
}
