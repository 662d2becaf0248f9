//! One leader at a time.

use dinp_common::fence::LeaseRow;
use dinp_common::plan::Change;
use dinp_store::StoreError;

use crate::given::*;
use crate::on_both;

on_both! {
    async fn a_lease_is_taken_by_compare_and_set(db: Database) {
        let store = &db.store;
        let free = store.lease_read().await.expect("reads");
        assert!(free.is_released());
        let first = store.lease_take(&free, "a", 0).await.expect("answers").expect("takes");
        assert_eq!((first.epoch, first.holder.as_str(), &first.cluster), (1, "a", &store.cluster()));
        assert_eq!(store.lease_take(&free, "b", 0).await, Ok(None), "it was taken since it was seen");

        let held = store.lease_read().await.expect("reads");
        assert!(!held.is_released());
        assert_eq!(store.lease_renew(&first).await, Ok(true));
        assert_eq!(store.lease_take(&held, "b", 0).await, Ok(None), "the holder has raised the counter");

        let silent = store.lease_read().await.expect("reads");
        let second = store.lease_take(&silent, "b", 0).await.expect("answers").expect("the holder was silent");
        assert_eq!(second.epoch, 2);
        assert_eq!(store.lease_renew(&first).await, Ok(false), "the first holder is out");
    }

    async fn an_epoch_goes_above_what_others_have_seen(db: Database) {
        let seen = db.store.lease_read().await.expect("reads");
        let fence = db.store.lease_take(&seen, "a", 41).await.expect("answers").expect("takes");
        assert_eq!(fence.epoch, 41);
        let seen = db.store.lease_read().await.expect("reads");
        let fence = db.store.lease_take(&seen, "b", 7).await.expect("answers").expect("takes");
        assert_eq!(fence.epoch, 42, "never back");
    }

    async fn a_released_lease_is_free_and_its_holder_is_out(db: Database) {
        let fence = leader(&db.store).await;
        db.store.lease_release(&fence).await.expect("releases");
        let row = db.store.lease_read().await.expect("reads");
        assert_eq!(row, LeaseRow { epoch: 1, holder: "leader".to_owned(), counter: 0 });
        assert_eq!(db.store.lease_renew(&fence).await, Ok(false));
        assert_eq!(db.store.commit(&fence, &[]).await, Err(StoreError::Fenced));
        let next = db.store.lease_take(&row, "next", 0).await.expect("answers").expect("takes at once");
        db.store.lease_release(&fence).await.expect("has no effect");
        assert_eq!(db.store.lease_renew(&next).await, Ok(true), "only the holder can give it up");
    }

    async fn of_many_challengers_one_wins(db: Database) {
        let other = db.second().await;
        let seen = db.store.lease_read().await.expect("reads");
        let tries = (0..8).map(|n| {
            let (store, seen) = (if n % 2 == 0 { db.store.clone() } else { other.clone() }, seen.clone());
            tokio::spawn(async move { store.lease_take(&seen, &format!("s{n}"), 0).await.expect("answers") })
        });
        let mut won = 0;
        for attempt in tries.collect::<Vec<_>>() {
            won += usize::from(attempt.await.expect("runs").is_some());
        }
        assert_eq!(won, 1);
    }

    /// DESIGN 5, promise 4.
    async fn a_stale_leader_writes_nothing(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let old = leader(&db.store).await;
        db.store.commit(&old, &[place("shop", 1, 1)]).await.expect("leads");
        let seen = db.store.lease_read().await.expect("reads");
        db.store.lease_take(&seen, "other", 0).await.expect("answers").expect("takes");

        let before = db.store.desired_load().await.expect("reads");
        let events = db.store.event_list(None, None, None, 100).await.expect("reads");
        let changes = [place("shop", 1, 2), Change::Note(note("never written", None)), Change::Forget { instance: instance("shop", 1, 1).id }];
        assert_eq!(db.store.commit(&old, &changes).await, Err(StoreError::Fenced));
        let mut foreign = leader(&db.store).await;
        foreign.cluster = dinp_common::name::ClusterId::parse("elsewhere").expect("a name");
        assert_eq!(db.store.commit(&foreign, &changes).await, Err(StoreError::Fenced));
        assert_eq!(db.store.desired_load().await.expect("reads"), before);
        assert_eq!(db.store.event_list(None, None, None, 100).await.expect("reads"), events);
    }

    async fn a_commit_counts_as_a_sign_of_life(db: Database) {
        let fence = leader(&db.store).await;
        let seen = db.store.lease_read().await.expect("reads");
        db.store.commit(&fence, &[]).await.expect("leads");
        assert_eq!(db.store.lease_take(&seen, "b", 0).await, Ok(None));
    }
}
