use super::*;

/// What launchbadge/sqlx #4349 does to a pool: a permit that nobody gives back.
#[tokio::test]
async fn a_pool_that_has_lost_its_permits_is_replaced() {
    sqlx::any::install_default_drivers();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state.db");
    std::fs::write(&path, "").expect("writes");
    let pool = Pool::new(&StoreUrl::Sqlite(path), Durability::Durable).expect("an address");
    let soon = || Instant::now() + Duration::from_millis(20);
    std::mem::forget(pool.acquire(Instant::now() + ACQUIRE_TIMEOUT).await.expect("the only one"));
    for _ in 0..REBUILD_AFTER {
        assert!(matches!(pool.acquire(soon()).await, Err(StoreError::Unavailable { .. })));
    }
    pool.acquire(Instant::now() + ACQUIRE_TIMEOUT).await.expect("the new pool has its own");
}
