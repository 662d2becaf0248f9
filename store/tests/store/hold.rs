//! Deploys that people hold back or cancel.

use dinp_common::build::BuildState;
use dinp_common::deploy::{DeployKind, DeployNo, DeployState, Strategy, Wanted};
use dinp_common::fence::Fence;
use dinp_common::plan::Change;
use dinp_common::release::ReleaseNo;
use dinp_store::{HoldError, Intent, Store};

use crate::given::*;
use crate::on_both;

/// `shop` with two instances of v1, which serves.
async fn serving(store: &Store) -> Fence {
    let intent = Intent { create: true, release: Some(release(1)), instances: Some(2), ..intent("shop", DeployKind::Release) };
    let first = store.deploy_begin(intent).await.expect("begins");
    assert_eq!(first.before, None, "there was no app to return to");
    let fence = leader(store).await;
    let live = Change::Live { app: name("shop"), release: ReleaseNo(1), generation: 0 };
    let finish = Change::Finish { app: name("shop"), deploy: first.number, state: DeployState::Succeeded, failure: None };
    store.commit(&fence, &[live, finish]).await.expect("writes");
    fence
}

async fn scaled(store: &Store, instances: u32) -> DeployNo {
    let intent = Intent { instances: Some(instances), ..intent("shop", DeployKind::Scale) };
    store.deploy_begin(intent).await.expect("begins").number
}

on_both! {
    async fn a_cancelled_scale_wants_what_was_wanted_before_it_and_what_it_took_over(db: Database) {
        let shop = name("shop");
        serving(&db.store).await;
        scaled(&db.store, 4).await;
        let second = scaled(&db.store, 6).await;
        let running = db.store.deploy_latest(&shop).await.expect("reads").expect("runs");
        assert_eq!(running.before, Some(Wanted { instances: 2, stopped: false }), "four were never reached");
        let revision = db.store.app_get(&shop).await.expect("reads").expect("is there").revision;
        let cancelled = db.store.deploy_cancel(&shop, second, "ann").await.expect("cancels");
        assert_eq!((cancelled.state, cancelled.failure), (DeployState::Cancelled, None));
        let app = db.store.app_get(&shop).await.expect("reads").expect("is there");
        assert_eq!((app.instances, app.stopped, app.revision), (2, false, revision + 1));
        assert!(db.store.desired_load().await.expect("reads").deploys.is_empty());
        let again = db.store.deploy_cancel(&shop, second, "bob").await.expect("is cancelled");
        assert_eq!(again.state, DeployState::Cancelled);
        let events = db.store.event_list(Some(&shop), None, None, 10).await.expect("reads");
        let said: Vec<_> = events.iter().filter(|event| event.kind == "deploy_cancelled").collect();
        assert_eq!((said.len(), said[0].actor.as_str()), (1, "ann"), "once");
        assert_eq!(said[0].text, "Deploy #3 of shop is cancelled; v1 serves on");
    }

    async fn a_cancelled_stop_starts_again_and_a_delete_is_not_cancelled(db: Database) {
        let shop = name("shop");
        serving(&db.store).await;
        let stop = Intent { stopped: Some(true), ..intent("shop", DeployKind::Stop) };
        let stop = db.store.deploy_begin(stop).await.expect("begins");
        db.store.deploy_cancel(&shop, stop.number, "ann").await.expect("cancels");
        assert!(!db.store.app_get(&shop).await.expect("reads").expect("is there").stopped);
        let delete = Intent { deleted: true, ..intent("shop", DeployKind::Delete) };
        let delete = db.store.deploy_begin(delete).await.expect("begins");
        let refused = db.store.deploy_cancel(&shop, delete.number, "ann").await;
        assert!(matches!(refused, Err(HoldError::Never { .. })), "{refused:?}");
        assert!(db.store.app_get(&shop).await.expect("reads").expect("is there").deleted);
    }

    async fn a_cancelled_deploy_stops_its_build(db: Database) {
        let deploy = uploaded(&db.store, "shop").await;
        db.store.deploy_cancel(&name("shop"), deploy.number, "ann").await.expect("cancels");
        let build = db.store.build_get(deploy.build.expect("a build")).await.expect("reads").expect("is kept");
        assert_eq!(build.state, BuildState::Failed);
        assert_eq!(db.store.deploy_release(&name("shop"), deploy.number, release(1)).await, Ok(None));
    }

    /// A leader finds the deploy good at the moment people cancel it.
    async fn a_release_that_was_cancelled_never_becomes_live(db: Database) {
        let fence = serving(&db.store).await;
        let second = deployed(&db.store, "shop", 2).await;
        db.store.deploy_cancel(&name("shop"), second.number, "ann").await.expect("cancels");
        let late = [
            Change::Live { app: name("shop"), release: ReleaseNo(2), generation: 0 },
            Change::Finish { app: name("shop"), deploy: second.number, state: DeployState::Succeeded, failure: None },
            Change::Held { app: name("shop"), deploy: second.number, paused_ms: 5 },
        ];
        db.store.commit(&fence, &late).await.expect("writes");
        assert_eq!(db.store.app_get(&name("shop")).await.expect("reads").expect("is there").live, Some(ReleaseNo(1)));
        let stored = db.store.deploy_get(&name("shop"), second.number).await.expect("reads").expect("is kept");
        assert_eq!((stored.state, stored.paused_ms), (DeployState::Cancelled, 0));
    }

    async fn a_leader_that_cancels_takes_back_what_was_wanted_too(db: Database) {
        let fence = serving(&db.store).await;
        let deploy = scaled(&db.store, 5).await;
        let finish = Change::Finish { app: name("shop"), deploy, state: DeployState::Cancelled, failure: None };
        db.store.commit(&fence, &[finish]).await.expect("writes");
        assert_eq!(db.store.app_get(&name("shop")).await.expect("reads").expect("is there").instances, 2);
    }

    async fn a_pause_is_kept_with_its_reason_until_it_is_let_go(db: Database) {
        let shop = name("shop");
        serving(&db.store).await;
        let deploy = deployed(&db.store, "shop", 2).await;
        let paused = db.store.deploy_pause(&shop, deploy.number, "ann", Some(" errors ")).await.expect("pauses");
        assert_eq!(paused.paused.as_deref(), Some("paused by ann: errors"));
        let again = db.store.deploy_pause(&shop, deploy.number, "bob", None).await.expect("is paused");
        assert_eq!(again.paused, paused.paused, "the first reason stays");
        assert_eq!(db.store.desired_load().await.expect("reads").deploys, [again]);
        let resumed = db.store.deploy_resume(&shop, deploy.number, "bob").await.expect("goes on");
        assert_eq!(resumed.paused, None);
        assert_eq!(db.store.desired_load().await.expect("reads").deploys, [resumed]);
        let plain = db.store.deploy_pause(&shop, deploy.number, "ann", Some("  ")).await.expect("pauses");
        assert_eq!(plain.paused.as_deref(), Some("paused by ann"));
    }

    /// What people hold back does not go on because somebody scales.
    async fn a_scale_does_not_take_a_paused_rollout_over(db: Database) {
        let shop = name("shop");
        serving(&db.store).await;
        let second = deployed(&db.store, "shop", 2).await;
        db.store.deploy_pause(&shop, second.number, "ann", None).await.expect("pauses");
        let scale = scaled(&db.store, 3).await;
        let scale = db.store.deploy_get(&shop, scale).await.expect("reads").expect("runs");
        assert_eq!((scale.to, scale.paused), (Some(ReleaseNo(1)), None));
        let second = db.store.deploy_get(&shop, second.number).await.expect("reads").expect("is kept");
        assert_eq!(second.state, DeployState::Superseded);
    }

    async fn what_cannot_be_held_is_refused_and_stays_as_it_is(db: Database) {
        let shop = name("shop");
        serving(&db.store).await;
        let ended = db.store.deploy_cancel(&shop, DeployNo(1), "ann").await;
        assert!(matches!(&ended, Err(HoldError::Ended(deploy)) if deploy.state == DeployState::Succeeded), "{ended:?}");
        assert!(matches!(db.store.deploy_resume(&shop, DeployNo(1), "ann").await, Err(HoldError::Ended(_))));
        let unknown = db.store.deploy_pause(&shop, DeployNo(9), "ann", None).await;
        assert!(matches!(unknown, Err(HoldError::NotFound { .. })), "{unknown:?}");
        let recreate = Intent { release: Some(release(2)), strategy: Strategy::Recreate, ..intent("shop", DeployKind::Release) };
        let recreate = db.store.deploy_begin(recreate).await.expect("begins");
        let stop = Intent { stopped: Some(true), ..intent("shop", DeployKind::Stop) };
        for number in [recreate.number, db.store.deploy_begin(stop).await.expect("begins").number] {
            let refused = db.store.deploy_pause(&shop, number, "ann", None).await;
            let refused = refused.expect_err("is refused");
            assert!(matches!(refused, HoldError::Never { .. } | HoldError::Ended(_)), "{refused:?}");
        }
    }
}
