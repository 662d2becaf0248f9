use dinp_common::name::RouterId;

use super::*;
use crate::url::StoreUrl;

async fn opened() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&StoreUrl::Sqlite(folder.path().join("state.db"))).await.expect("opens");
    (folder, store)
}

fn router(n: u32) -> RouterId {
    RouterId::parse(&format!("r{n}")).expect("a name")
}

/// Changes what is kept, to see whether it is answered.
fn mark(store: &Store) {
    let mut kept = store.kept().0.lock().expect("no panic");
    kept.as_mut().expect("a read is kept").desired.next_instance = 77;
}

async fn is_marked(store: &Store) -> bool {
    store.desired_load().await.expect("reads").next_instance == 77
}

#[tokio::test]
async fn what_nobody_has_written_to_since_is_not_read_again() {
    let (_folder, store) = opened().await;
    store.desired_load().await.expect("reads");
    mark(&store);
    assert!(is_marked(&store).await && is_marked(&store).await);
}

/// Also by the connections of the same pool, and by another process.
#[tokio::test]
async fn any_write_has_everything_read_again() {
    let (folder, store) = opened().await;
    let other = Store::open(&StoreUrl::Sqlite(folder.path().join("state.db"))).await.expect("opens");
    store.desired_load().await.expect("reads");
    for n in 0..20 {
        mark(&store);
        let writer = if n % 2 == 0 { &store } else { &other };
        writer.router_record(&router(n)).await.expect("records");
        assert!(!is_marked(&store).await, "write {n} went unseen");
        assert_eq!(store.desired_load().await.expect("reads").routers.len(), n as usize + 1);
    }
}

#[tokio::test]
async fn a_read_that_failed_keeps_nothing() {
    let (_folder, store) = opened().await;
    store.desired_load().await.expect("reads");
    mark(&store);
    let mut session = store.single().await.expect("a connection");
    session.plain("ALTER TABLE routers RENAME TO hidden").await.expect("renames");
    store.desired_load().await.expect_err("a table is missing");
    assert!(store.kept().0.lock().expect("no panic").is_none());
    session.plain("ALTER TABLE hidden RENAME TO routers").await.expect("renames");
    assert!(!is_marked(&store).await);
}
