//! The leader's changes.

use std::collections::BTreeSet;

use dinp_common::app::Backoff;
use dinp_common::deploy::{DeployKind, DeployNo, DeployState};
use dinp_common::instance::{InstanceId, Want};
use dinp_common::plan::Change;
use dinp_common::rebalance::Rebalance;
use dinp_common::release::ReleaseNo;
use dinp_store::{Intent, Store, StoreError};

use crate::given::*;
use crate::on_both;

/// Names every variant, so that a new one cannot be forgotten below.
fn label(change: &Change) -> &'static str {
    match change {
        Change::Place { .. } => "place",
        Change::Move { .. } => "move",
        Change::Prove { .. } => "prove",
        Change::Spend { .. } => "spend",
        Change::Forget { .. } => "forget",
        Change::Progress { .. } => "progress",
        Change::Held { .. } => "held",
        Change::Finish { .. } => "finish",
        Change::Live { .. } => "live",
        Change::Backoff { .. } => "backoff",
        Change::Erase { .. } => "erase",
        Change::Rebalance(_) => "rebalance",
        Change::Note(_) => "note",
    }
}

/// An instance's whole life, in the order a leader writes it.
fn life() -> Vec<Change> {
    let id = || InstanceId::from_sequence(1);
    let (app, deploy) = (|| name("shop"), DeployNo(1));
    vec![
        place("shop", 1, 1),
        Change::Spend { instance: id(), spent_ms: 700 },
        Change::Prove { instance: id(), address: "10.77.0.2:8080".parse().expect("an address") },
        Change::Progress { app: app(), deploy, spent_ms: 900, failed_starts: 2 },
        Change::Held { app: app(), deploy, paused_ms: 300 },
        Change::Live { app: app(), release: ReleaseNo(1), generation: 0 },
        Change::Finish { app: app(), deploy, state: DeployState::Succeeded, failure: None },
        Change::Backoff { app: app(), backoff: Backoff { crashes: 3, wait_ms: 4_000, calm_ms: 5 } },
        Change::Move { instance: id(), want: Want::Drain, reason: "scaled down".to_owned() },
        Change::Spend { instance: id(), spent_ms: 80 },
        Change::Move { instance: id(), want: Want::Stop, reason: "drained".to_owned() },
        Change::Forget { instance: id() },
    ]
}

async fn events(store: &Store) -> usize {
    store.event_list(None, None, None, 1000).await.expect("reads").len()
}

on_both! {
    async fn every_change_done_twice_is_done_once(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let fence = leader(&db.store).await;
        let mut seen = BTreeSet::new();
        let mut before = db.store.desired_load().await.expect("reads");
        let mut all = life();
        all.push(Change::Rebalance(Rebalance::new(1, "dinp")));
        all.push(Change::Erase { app: name("shop") });
        for change in &all {
            if matches!(change, Change::Erase { .. }) {
                db.store.deploy_begin(Intent { deleted: true, ..intent("shop", DeployKind::Delete) }).await.expect("begins");
            }
            db.store.commit(&fence, std::slice::from_ref(change)).await.expect("writes");
            let once = db.store.desired_load().await.expect("reads");
            assert_ne!(once, before, "{change:?} changes something");
            db.store.commit(&fence, &[change.clone(), change.clone()]).await.expect("writes");
            assert_eq!(db.store.desired_load().await.expect("reads"), once, "{change:?}");
            seen.insert(label(change));
            before = once;
        }
        assert_eq!(seen.len(), 12, "every variant but the note: {seen:?}");
    }

    async fn a_life_leaves_the_values_it_wrote(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let fence = leader(&db.store).await;
        let next = db.store.desired_load().await.expect("reads").next_instance;
        db.store.commit(&fence, &life()[..8]).await.expect("writes");
        let desired = db.store.desired_load().await.expect("reads");
        let [instance] = desired.instances.as_slice() else { panic!("one instance: {desired:?}") };
        assert_eq!((instance.proven, instance.spent_ms, instance.want), (true, 0, Want::Run), "its phase began anew");
        assert_eq!(instance.address, Some("10.77.0.2:8080".parse().expect("an address")));
        assert_eq!(desired.next_instance, next.max(2));
        let app = &desired.apps[0];
        assert_eq!((app.live, app.backoff), (Some(ReleaseNo(1)), Backoff { crashes: 3, wait_ms: 4_000, calm_ms: 5 }));
        assert!(desired.deploys.is_empty(), "it has ended");
        let deploy = db.store.deploy_get(&name("shop"), DeployNo(1)).await.expect("reads").expect("is kept");
        assert_eq!((deploy.state, deploy.spent_ms, deploy.failed_starts), (DeployState::Succeeded, 900, 2));
        assert_eq!(deploy.paused_ms, 300);

        db.store.commit(&fence, &life()[8..10]).await.expect("writes");
        let [instance] = &db.store.instance_list_by_app(&name("shop")).await.expect("reads")[..] else { panic!("one") };
        assert_eq!((instance.want, instance.spent_ms, instance.reason.as_str()), (Want::Drain, 80, "scaled down"));
    }

    /// A want only moves forward, whatever order retries come in.
    async fn an_instance_never_moves_back(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let fence = leader(&db.store).await;
        let to = |want| Change::Move { instance: InstanceId::from_sequence(1), want, reason: want.as_str().to_owned() };
        db.store.commit(&fence, &[place("shop", 1, 1), to(Want::Stop), to(Want::Drain), to(Want::Run)]).await.expect("writes");
        let instances = db.store.instance_list_by_app(&name("shop")).await.expect("reads");
        assert_eq!((instances[0].want, instances[0].reason.as_str()), (Want::Stop, "stop"));
    }

    async fn a_commit_is_whole_or_nothing(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let fence = leader(&db.store).await;
        let before = db.store.desired_load().await.expect("reads");
        // The second change breaks a rule of the tables, on both databases, after the first one was done.
        db.by_hand("ALTER TABLE nodes RENAME TO nodes_away").await;
        db.by_hand("ALTER TABLE events RENAME TO events_away").await;
        let error = db.store.commit(&fence, &[place("shop", 1, 1), Change::Note(note("x", None))]).await.expect_err("no table");
        assert!(!matches!(error, StoreError::Fenced), "{error}");
        let error = db.store.desired_load().await.expect_err("a table is missing: read whole or not at all");
        assert!(!error.to_string().is_empty());
        db.by_hand("ALTER TABLE events_away RENAME TO events").await;
        db.by_hand("ALTER TABLE nodes_away RENAME TO nodes").await;
        assert_eq!(db.store.desired_load().await.expect("reads"), before);
    }

    /// People ask for something while the leader decides about what they asked before.
    async fn what_people_overtook_is_left_out(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let fence = leader(&db.store).await;
        db.store.commit(&fence, &life()[..7]).await.expect("writes");
        let second = deployed(&db.store, "shop", 2).await;
        let restart = Intent { instances: Some(3), ..intent("shop", DeployKind::Restart) };
        let third = db.store.deploy_begin(restart).await.expect("begins");
        assert_eq!((third.from, third.to), (Some(ReleaseNo(1)), Some(ReleaseNo(1))));

        let late = [
            Change::Live { app: name("shop"), release: ReleaseNo(2), generation: 0 },
            Change::Finish { app: name("shop"), deploy: second.number, state: DeployState::Succeeded, failure: None },
            Change::Progress { app: name("shop"), deploy: second.number, spent_ms: 5, failed_starts: 1 },
            Change::Erase { app: name("shop") },
            place("gone", 1, 9),
        ];
        db.store.commit(&fence, &late).await.expect("writes");
        let app = db.store.app_get(&name("shop")).await.expect("reads").expect("is not erased");
        assert_eq!(app.live, Some(ReleaseNo(1)));
        let second = db.store.deploy_get(&name("shop"), second.number).await.expect("reads").expect("is kept");
        assert_eq!((second.state, second.spent_ms), (DeployState::Superseded, 0));
        assert!(db.store.instance_list_by_app(&name("gone")).await.expect("reads").is_empty());
    }

    async fn a_failed_deploy_keeps_its_cause_and_cancels_its_build(db: Database) {
        let deploy = uploaded(&db.store, "shop").await;
        let fence = leader(&db.store).await;
        let finish = Change::Finish { app: name("shop"), deploy: deploy.number, state: DeployState::Failed, failure: Some(failure()) };
        db.store.commit(&fence, &[finish]).await.expect("writes");
        let stored = db.store.deploy_latest(&name("shop")).await.expect("reads").expect("is kept");
        assert_eq!((stored.state, stored.failure), (DeployState::Failed, Some(failure())));
        assert_eq!(db.store.build_claim("b").await, Ok(None), "nobody builds for it any more");
    }

    async fn an_erased_app_is_gone_and_its_events_stay(db: Database) {
        let deploy = uploaded(&db.store, "shop").await;
        let build = deploy.build.expect("a build");
        db.store.build_claim("c").await.expect("answers").expect("a build");
        assert!(db.store.build_log_append(build, "c", &["line".to_owned()]).await.expect("writes"));
        db.store.deploy_release(&name("shop"), deploy.number, release(1)).await.expect("answers").expect("moves on");
        let fence = leader(&db.store).await;
        db.store.commit(&fence, &[place("shop", 1, 1)]).await.expect("writes");
        let erase = Change::Erase { app: name("shop") };

        db.store.commit(&fence, std::slice::from_ref(&erase)).await.expect("answers");
        assert!(db.store.app_get(&name("shop")).await.expect("reads").is_some(), "it was not deleted");
        db.store.deploy_begin(Intent { deleted: true, ..intent("shop", DeployKind::Delete) }).await.expect("begins");
        db.store.commit(&fence, std::slice::from_ref(&erase)).await.expect("answers");
        assert!(db.store.app_get(&name("shop")).await.expect("reads").is_some(), "an instance is left");

        let forget = Change::Forget { instance: InstanceId::from_sequence(1) };
        let events_before = events(&db.store).await;
        db.store.commit(&fence, &[forget, erase]).await.expect("writes");
        assert_eq!(db.store.app_get(&name("shop")).await, Ok(None));
        assert_eq!(db.store.deploy_latest(&name("shop")).await, Ok(None));
        assert_eq!(db.store.release_newest(&name("shop")).await, Ok(None));
        assert_eq!(db.store.build_get(build).await, Ok(None));
        assert_eq!(db.store.build_log_read(build, 0, 10).await, Ok(vec![]));
        assert_eq!(events(&db.store).await, events_before);
        assert_eq!(deployed(&db.store, "shop", 3).await.number, DeployNo(1), "the name is free again");
    }
}
