//! What people ask for.

use dinp_common::build::BuildState;
use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployPhase, DeployState, Strategy};
use dinp_common::pace::Pace;
use dinp_common::plan::Change;
use dinp_common::release::ReleaseNo;
use dinp_common::size::MiB;
use dinp_store::{Intent, IntentError, NewRelease, StoreError};

use crate::given::*;
use crate::on_both;

on_both! {
    async fn the_first_deploy_makes_the_app(db: Database) {
        let missing = db.store.deploy_begin(intent("shop", DeployKind::Scale)).await;
        assert_eq!(missing, Err(IntentError::NotFound { app: name("shop") }));
        let mut wish = Intent { create: true, release: Some(release(1)), instances: Some(3), ..intent("shop", DeployKind::Release) };
        wish.strategy = Strategy::Recreate;
        wish.settings.memory = Some(MiB(64));
        let deploy = db.store.deploy_begin(wish.clone()).await.expect("begins");
        assert_eq!((deploy.number, deploy.state, deploy.phase), (DeployNo(1), DeployState::Running, DeployPhase::Rollout));
        assert_eq!((deploy.from, deploy.to, deploy.build, deploy.generation), (None, Some(ReleaseNo(1)), None, 0));
        assert_eq!((deploy.settings.clone(), deploy.strategy, deploy.deadline_ms), (wish.settings, Strategy::Recreate, 60_000));
        assert_eq!(db.store.deploy_get(&name("shop"), DeployNo(1)).await, Ok(Some(deploy)), "what is answered is what is stored");

        let app = db.store.app_get(&name("shop")).await.expect("reads").expect("is there");
        assert_eq!((app.instances, app.revision, app.stopped, app.live), (3, 1, false, None));
        let stored = db.store.release_get(&name("shop"), ReleaseNo(1)).await.expect("reads").expect("is there");
        assert_eq!((stored.spec, stored.note.as_str(), stored.author.as_str()), (spec(1), "release 1", "ann"));
        let events = db.store.event_list(Some(&name("shop")), None, None, 10).await.expect("reads");
        assert_eq!((events[0].kind.as_str(), events[0].actor.as_str()), ("deploy_started", "ann"));
    }

    async fn how_an_app_is_replaced_is_the_app_s_until_somebody_says_otherwise(db: Database) {
        let share = |text: &str| text.parse().ok();
        let mut wish = Intent { create: true, release: Some(release(1)), ..intent("shop", DeployKind::Release) };
        wish.settings.max_surge = share("2");
        wish.settings.max_unavailable = share("25%");
        db.store.deploy_begin(wish).await.expect("begins");
        let mut next = Intent { release: Some(release(2)), ..intent("shop", DeployKind::Release) };
        next.settings.max_surge = share("50%");
        db.store.deploy_begin(next).await.expect("begins");
        db.store.deploy_begin(intent("shop", DeployKind::Scale)).await.expect("begins");
        let app = db.store.app_get(&name("shop")).await.expect("reads").expect("is there");
        assert_eq!(app.pace, Pace { max_surge: share("50%"), max_unavailable: share("25%") });
        assert_eq!(db.store.desired_load().await.expect("reads").apps[0].pace, app.pace, "decisions read the same");
        deployed(&db.store, "blog", 1).await;
        let blog = db.store.app_get(&name("blog")).await.expect("reads").expect("is there");
        assert_eq!(blog.pace, Pace::default());
    }

    async fn a_sealed_value_stays_sealed(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let env = db.store.release_newest(&name("shop")).await.expect("reads").expect("is there").spec.env;
        let sealed: Vec<bool> = env.values().map(|value| value.sealed).collect();
        assert_eq!(sealed, [false, true]);
    }

    async fn a_new_wish_supersedes_the_running_one(db: Database) {
        let first = uploaded(&db.store, "shop").await;
        assert_eq!((first.phase, first.to), (DeployPhase::Build, None));
        let build = first.build.expect("a build");
        let second = deployed(&db.store, "shop", 1).await;
        assert_eq!(second.number, DeployNo(2));
        let first = db.store.deploy_get(&name("shop"), first.number).await.expect("reads").expect("is kept");
        assert_eq!(first.state, DeployState::Superseded);
        assert_eq!(db.store.build_get(build).await.expect("reads").map(|build| build.state), Some(BuildState::Failed));
        assert_eq!(db.store.deploy_release(&name("shop"), first.number, release(2)).await, Ok(None), "too late");
        assert_eq!(db.store.deploy_fail(&name("shop"), first.number, failure()).await, Ok(false), "too late");
        let running = db.store.desired_load().await.expect("reads").deploys;
        assert_eq!(running, [second]);
    }

    async fn an_edit_does_not_undo_the_release_that_went_live_meanwhile(db: Database) {
        let first = deployed(&db.store, "shop", 1).await;
        let lead = leader(&db.store).await;
        let live = |release| Change::Live { app: name("shop"), release: ReleaseNo(release), generation: first.generation };
        db.store.commit(&lead, &[live(1)]).await.expect("commits");
        let edit = |base| {
            let release = Some(release(9));
            Intent { release, based_on: Some(ReleaseNo(base)), ..intent("shop", DeployKind::Release) }
        };
        deployed(&db.store, "shop", 2).await;
        db.store.commit(&lead, &[live(2)]).await.expect("commits");
        let late = db.store.deploy_begin(edit(1)).await;
        assert_eq!(late, Err(IntentError::Live { app: name("shop"), base: ReleaseNo(1) }));
        let newest = db.store.release_newest(&name("shop")).await.expect("reads").expect("is there");
        assert_eq!(newest.number, ReleaseNo(2), "nothing of it is stored");
        assert_eq!(db.store.deploy_begin(edit(2)).await.expect("begins").to, Some(ReleaseNo(3)));
    }

    async fn a_scale_carries_on_what_it_interrupts(db: Database) {
        let first = uploaded(&db.store, "shop").await;
        let build = first.build.expect("a build");
        let scale = Intent { instances: Some(3), ..intent("shop", DeployKind::Scale) };
        let second = db.store.deploy_begin(scale.clone()).await.expect("begins");
        assert_eq!((second.phase, second.build), (DeployPhase::Build, Some(build)), "the build goes on");
        let state = db.store.build_get(build).await.expect("reads").map(|build| build.state);
        assert_eq!(state, Some(BuildState::Queued));
        let owner = db.store.deploy_of_build(build).await.expect("reads").map(|deploy| deploy.number);
        assert_eq!(owner, Some(second.number), "and belongs to the scale");
        let rolling = db.store.deploy_release(&name("shop"), second.number, release(1)).await.expect("writes").expect("runs");
        let third = db.store.deploy_begin(scale).await.expect("begins");
        assert_eq!((third.to, third.phase, third.state), (rolling.to, DeployPhase::Rollout, DeployState::Running));
        let ended = db.store.deploy_get(&name("shop"), second.number).await.expect("reads").map(|deploy| deploy.state);
        assert_eq!(ended, Some(DeployState::Superseded));
    }

    async fn each_kind_leads_where_it_should(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let fence = leader(&db.store).await;
        let live = Change::Live { app: name("shop"), release: ReleaseNo(1), generation: 0 };
        db.store.commit(&fence, &[live]).await.expect("writes");
        let one = Some(ReleaseNo(1));

        let stop = db.store.deploy_begin(Intent { stopped: Some(true), ..intent("shop", DeployKind::Stop) }).await.expect("begins");
        assert_eq!((stop.from, stop.to, stop.generation), (one, one, 0));
        assert!(db.store.app_get(&name("shop")).await.expect("reads").expect("is there").stopped);
        let start = db.store.deploy_begin(Intent { stopped: Some(false), ..intent("shop", DeployKind::Start) }).await.expect("begins");
        assert_eq!((start.from, start.to), (one, one));
        let restart = db.store.deploy_begin(Intent { restart: true, ..intent("shop", DeployKind::Restart) }).await.expect("begins");
        assert_eq!((restart.to, restart.generation), (one, 1));
        let again = db.store.deploy_begin(Intent { restart: true, ..intent("shop", DeployKind::Restart) }).await.expect("begins");
        assert_eq!(again.generation, 2, "what the first restart started is not new");
        assert_eq!(db.store.app_get(&name("shop")).await.expect("reads").map(|app| app.generation), Some(0), "until it is proven");
        let live = Change::Live { app: name("shop"), release: ReleaseNo(1), generation: 2 };
        db.store.commit(&fence, &[live]).await.expect("writes");
        let next = deployed(&db.store, "shop", 2).await;
        assert_eq!((next.from, next.to, next.generation), (one, Some(ReleaseNo(2)), 2));

        let delete = db.store.deploy_begin(Intent { deleted: true, ..intent("shop", DeployKind::Delete) }).await.expect("begins");
        assert_eq!(delete.to, one);
        let again = db.store.deploy_begin(Intent { create: true, ..intent("shop", DeployKind::Release) }).await;
        assert_eq!(again, Err(IntentError::Deleting { app: name("shop") }));
    }

    async fn a_revision_that_has_moved_on_is_refused(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let scale = |expect| Intent { expect_revision: Some(expect), instances: Some(2), ..intent("shop", DeployKind::Scale) };
        let refused = db.store.deploy_begin(scale(0)).await;
        assert_eq!(refused, Err(IntentError::Revision { app: name("shop"), expected: 0, current: 1 }));
        assert_eq!(db.store.app_get(&name("shop")).await.expect("reads").map(|app| (app.instances, app.revision)), Some((1, 1)));
        db.store.deploy_begin(scale(1)).await.expect("begins");
        assert_eq!(db.store.app_get(&name("shop")).await.expect("reads").map(|app| (app.instances, app.revision)), Some((2, 2)));
        let both = Intent { release: Some(release(2)), build: Some(build()), ..intent("shop", DeployKind::Release) };
        assert!(matches!(db.store.deploy_begin(both).await, Err(IntentError::Store(StoreError::Conflict { .. }))));
    }

    async fn a_finished_build_becomes_a_release(db: Database) {
        let deploy = uploaded(&db.store, "shop").await;
        let fence = leader(&db.store).await;
        let spent = Change::Progress { app: name("shop"), deploy: deploy.number, spent_ms: 7_000, failed_starts: 0 };
        db.store.commit(&fence, &[spent]).await.expect("writes");
        let new = NewRelease { build: deploy.build, ..release(4) };
        let moved = db.store.deploy_release(&name("shop"), deploy.number, new.clone()).await.expect("answers").expect("moves on");
        assert_eq!((moved.phase, moved.to), (DeployPhase::Rollout, Some(ReleaseNo(1))));
        assert_eq!((moved.spent_ms, moved.deadline_ms), (7_000, 67_000), "the deadline is the rollout's own");
        assert_eq!(db.store.deploy_get(&name("shop"), deploy.number).await, Ok(Some(moved)));
        let release = db.store.release_newest(&name("shop")).await.expect("reads").expect("is there");
        assert_eq!((release.spec, release.build, release.author.as_str()), (spec(4), deploy.build, "ann"));
        assert_eq!(db.store.deploy_release(&name("shop"), deploy.number, new).await, Ok(None), "once");
        assert_eq!(db.store.deploy_release(&name("shop"), DeployNo(9), self::release(1)).await, Ok(None));
        assert_eq!(db.store.release_list(&name("shop"), None, 10).await.expect("reads").len(), 1);
    }

    async fn a_failed_build_fails_its_deploy_once(db: Database) {
        let deploy = uploaded(&db.store, "shop").await;
        assert_eq!(db.store.deploy_fail(&name("shop"), deploy.number, failure()).await, Ok(true));
        assert_eq!(db.store.deploy_fail(&name("shop"), deploy.number, failure()).await, Ok(false));
        let stored = db.store.deploy_latest(&name("shop")).await.expect("reads").expect("is kept");
        assert_eq!((stored.state, stored.failure), (DeployState::Failed, Some(failure())));
        let events = db.store.event_list(Some(&name("shop")), None, None, 10).await.expect("reads");
        assert_eq!((events[0].kind.as_str(), events[0].detail.as_deref()), ("deploy_failed", Some("last words")));
        assert_eq!(events.iter().filter(|event| event.kind == "deploy_failed").count(), 1);
    }

    async fn a_preview_reads_what_would_be_and_keeps_nothing(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let before = db.store.desired_load().await.expect("reads");
        let wish = Intent { instances: Some(3), release: Some(release(2)), ..intent("shop", DeployKind::Release) };
        let (deploy, desired) = db.store.deploy_preview(wish.clone()).await.expect("reads");
        assert_eq!((deploy.number, deploy.to), (DeployNo(2), Some(ReleaseNo(2))));
        assert_eq!(desired.deploys, std::slice::from_ref(&deploy), "the one before is superseded in it");
        assert_eq!(desired.apps[0].instances, 3);
        assert_eq!(db.store.desired_load().await.expect("reads"), before);
        assert_eq!(db.store.event_list(None, None, None, 10).await.expect("reads").len(), 1);
        let begun = db.store.deploy_begin(wish).await.expect("begins");
        assert_eq!(Deploy { created_at: deploy.created_at.clone(), ..begun }, deploy, "the numbers are those it then gets");
        let refused = db.store.deploy_preview(Intent { expect_revision: Some(9), ..intent("shop", DeployKind::Scale) }).await;
        assert!(matches!(refused, Err(IntentError::Revision { .. })), "{refused:?}");
    }

    async fn lists_page(db: Database) {
        for (app, n) in [("a", 1), ("shop", 1), ("shop", 2), ("shop", 3), ("workshop", 1)] {
            deployed(&db.store, app, n).await;
        }
        let names = |apps: Vec<dinp_common::app::App>| apps.iter().map(|app| app.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(db.store.app_list(None, 2, None).await.expect("reads")), ["a", "shop"]);
        assert_eq!(names(db.store.app_list(Some(&name("shop")), 2, None).await.expect("reads")), ["workshop"]);
        assert_eq!(names(db.store.app_list(None, 9, Some("SHOP")).await.expect("reads")), ["shop", "workshop"]);
        for none in ["%", "_", "!", "'"] {
            assert_eq!(names(db.store.app_list(None, 9, Some(none)).await.expect("reads")), Vec::<String>::new(), "{none}");
        }
        let shop = name("shop");
        let deploys = db.store.deploy_list(&shop, Some(DeployNo(3)), 1).await.expect("reads");
        assert_eq!(deploys.iter().map(|deploy| deploy.number.0).collect::<Vec<_>>(), [2]);
        let releases = db.store.release_list(&shop, Some(ReleaseNo(3)), 9).await.expect("reads");
        assert_eq!(releases.iter().map(|release| release.number.0).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(db.store.release_get(&shop, ReleaseNo(9)).await, Ok(None));
    }

    /// Two servers take requests for one app at the same time: each gets a number of its own.
    async fn concurrent_wishes_queue(db: Database) {
        let other = db.second().await;
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let store = if n % 2 == 0 { db.store.clone() } else { other.clone() };
                tokio::spawn(async move { deployed(&store, "shop", n).await.number.0 })
            })
            .collect();
        let mut numbers = Vec::new();
        for task in tasks {
            numbers.push(task.await.expect("runs"));
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
        assert_eq!(db.store.desired_load().await.expect("reads").deploys.len(), 1);
        let ids: Vec<u64> = db.store.event_list(None, None, Some(0), 100).await.expect("reads").iter().map(|event| event.id).collect();
        assert_eq!(ids, (1..=19).collect::<Vec<_>>(), "ten begun, nine superseded, no gap");
    }
}
