use super::*;
use crate::url::StoreUrl;

/// A caller that goes away in the middle of a transaction holds nobody up and writes nothing.
#[tokio::test]
async fn an_abandoned_transaction_is_rolled_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&StoreUrl::Sqlite(folder.path().join("state.db"))).await.expect("opens");
    for durability in [Durability::Progress, Durability::Durable] {
        let mut session = store.writing(durability).await.expect("begins");
        session.plain("INSERT INTO routers (id) VALUES ('half')").await.expect("writes");
        drop(session);
        let mut session = store.writing(durability).await.expect("begins after it");
        let result = session.rows(sql("SELECT id FROM routers")).await;
        assert_eq!(session.end(result).await.expect("reads").len(), 0);
    }
}

/// A refused write rolls back and keeps its connection.
#[tokio::test]
async fn a_refusal_is_rolled_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&StoreUrl::Sqlite(folder.path().join("state.db"))).await.expect("opens");
    let mut session = store.writing(Durability::Durable).await.expect("begins");
    session.plain("INSERT INTO routers (id) VALUES ('half')").await.expect("writes");
    let refusal: Result<(), StoreError> = session.end(Err(StoreError::Fenced)).await;
    assert_eq!(refusal, Err(StoreError::Fenced));
    let mut session = store.single().await.expect("reads");
    let result = session.rows(sql("SELECT id FROM routers")).await;
    assert_eq!(session.end(result).await.expect("reads").len(), 0);
}
