//! The queue of builds.

use dinp_common::build::{BuildId, BuildOutcome, BuildState};
use dinp_common::deploy::DeployKind;
use dinp_common::health::HealthCheck;
use dinp_common::kind::Kind;
use dinp_store::{BUILD_LOG_LINES, BUILD_LOGS_KEPT, Intent, Requeued};

use crate::given::*;
use crate::on_both;

fn image() -> BuildOutcome {
    BuildOutcome::Image {
        image: spec(1).image,
        kind: Kind::War,
        health: HealthCheck::Tcp,
        dockerfile: "FROM scratch\n".to_owned(),
    }
}

fn failed() -> BuildOutcome {
    BuildOutcome::Failed { why: "no start command".to_owned(), fix: "add one".to_owned() }
}

on_both! {
    async fn the_oldest_build_is_claimed_once(db: Database) {
        assert_eq!(db.store.build_claim("x").await, Ok(None));
        let (first, second) = (uploaded(&db.store, "one").await, uploaded(&db.store, "two").await);
        let order = db.store.build_claim("x").await.expect("answers").expect("a build");
        assert_eq!((Some(order.id), &order.app), (first.build, &first.app));
        let given = build();
        assert_eq!((order.artifact, order.artifact_bytes, order.file_name), (given.artifact, given.artifact_bytes, given.file_name));
        assert_eq!((order.kind, order.start), (given.kind, given.start));
        assert_eq!(db.store.build_claim("y").await.expect("answers").map(|order| order.id), second.build);
        assert_eq!(db.store.build_claim("z").await, Ok(None));
        let running = db.store.build_running().await.expect("reads");
        assert_eq!(running, [(BuildId(1), "x".to_owned()), (BuildId(2), "y".to_owned())]);
        assert_eq!(db.store.deploy_of_build(BuildId(2)).await.expect("reads").map(|deploy| deploy.app), Some(name("two")));
        assert_eq!(db.store.deploy_of_build(BuildId(3)).await, Ok(None));
    }

    async fn artifacts_of_unfinished_builds_are_needed(db: Database) {
        let id = uploaded(&db.store, "shop").await.build.expect("a build");
        let needed = async || db.store.artifact_list_needed().await.expect("reads").into_iter().collect::<Vec<_>>();
        assert_eq!(needed().await, [build().artifact]);
        db.store.build_claim("x").await.expect("answers").expect("a build");
        assert_eq!(needed().await, [build().artifact]);
        assert_eq!(db.store.build_finish(id, "x", &failed()).await, Ok(true));
        assert_eq!(needed().await, []);
    }

    async fn only_the_claimer_finishes(db: Database) {
        let id = uploaded(&db.store, "shop").await.build.expect("a build");
        assert_eq!(db.store.build_finish(id, "x", &image()).await, Ok(false), "nobody has claimed it");
        db.store.build_claim("x").await.expect("answers").expect("a build");
        assert_eq!(db.store.build_finish(id, "y", &failed()).await, Ok(false));
        assert_eq!(db.store.deploy_list_built().await, Ok(vec![]));
        assert_eq!(db.store.build_finish(id, "x", &image()).await, Ok(true));
        assert_eq!(db.store.build_finish(id, "x", &failed()).await, Ok(true), "said twice");
        let build = db.store.build_get(id).await.expect("reads").expect("is kept");
        assert_eq!((build.state, build.outcome), (BuildState::Succeeded, Some(image())), "the first outcome stands");
        let waiting = db.store.deploy_list_built().await.expect("reads");
        assert_eq!(waiting.iter().map(|(deploy, build)| (deploy.number.0, build.order.id)).collect::<Vec<_>>(), [(1, id)]);
        assert_eq!(db.store.build_log_append(id, "x", &["late".to_owned()]).await, Ok(false));
        assert_eq!(db.store.build_cancel(id).await, Ok(false));
    }

    async fn a_silent_builder_loses_its_build_and_the_third_is_the_last(db: Database) {
        let id = uploaded(&db.store, "shop").await.build.expect("a build");
        for (claim, then) in [("a", Requeued::Queued), ("b", Requeued::Queued), ("c", Requeued::GaveUp)] {
            assert_eq!(db.store.build_claim(claim).await.expect("answers").map(|order| order.id), Some(id));
            assert_eq!(db.store.build_requeue(id, "other").await, Ok(Requeued::Stale));
            assert_eq!(db.store.build_requeue(id, claim).await, Ok(then));
            assert_eq!(db.store.build_finish(id, claim, &image()).await, Ok(false), "it was taken away");
        }
        let build = db.store.build_get(id).await.expect("reads").expect("is kept");
        assert_eq!((build.state, build.attempts), (BuildState::Failed, 3));
        assert!(matches!(build.outcome, Some(BuildOutcome::Failed { why, .. }) if why.contains("fell silent")));
    }

    async fn a_cancelled_build_stops_taking_lines(db: Database) {
        let id = uploaded(&db.store, "shop").await.build.expect("a build");
        db.store.build_claim("x").await.expect("answers").expect("a build");
        assert_eq!(db.store.build_log_append(id, "x", &["one".to_owned()]).await, Ok(true));
        assert_eq!(db.store.build_cancel(id).await, Ok(true));
        assert_eq!(db.store.build_log_append(id, "x", &["two".to_owned()]).await, Ok(false));
        assert_eq!(db.store.build_finish(id, "x", &image()).await, Ok(false));
        assert_eq!(db.store.build_cancel(BuildId(99)).await, Ok(false));
    }

    async fn a_log_reads_back_from_any_line(db: Database) {
        let id = uploaded(&db.store, "shop").await.build.expect("a build");
        db.store.build_claim("x").await.expect("answers").expect("a build");
        for lines in [vec!["a", "b\r\nc"], vec![], vec!["", "größe 🦀"]] {
            let lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
            assert_eq!(db.store.build_log_append(id, "x", &lines).await, Ok(true));
        }
        let read = async |from, limit| {
            let lines = db.store.build_log_read(id, from, limit).await.expect("reads");
            lines.into_iter().map(|line| (line.n, line.text)).collect::<Vec<_>>()
        };
        let all = ["a", "b", "c", "", "größe 🦀"];
        let numbered: Vec<(u64, String)> = (0..).zip(all.map(str::to_owned)).collect();
        assert_eq!(read(0, 100).await, numbered);
        assert_eq!(read(1, 3).await, numbered[1..4]);
        assert_eq!(read(4, u32::MAX).await, numbered[4..]);
        assert_eq!(read(5, 100).await, []);
        assert_eq!(db.store.build_log_append(id, "other", &["x".to_owned()]).await, Ok(false));
    }

    async fn a_log_has_an_end_and_says_so(db: Database) {
        let id = uploaded(&db.store, "shop").await.build.expect("a build");
        db.store.build_claim("x").await.expect("answers").expect("a build");
        let many = vec!["x".repeat(100); 15_000];
        assert_eq!(db.store.build_log_append(id, "x", &many).await, Ok(true));
        assert_eq!(db.store.build_log_append(id, "x", &many).await, Ok(true));
        assert_eq!(db.store.build_log_append(id, "x", &many).await, Ok(true), "the builder goes on");
        let tail = db.store.build_log_read(id, BUILD_LOG_LINES - 2, 100).await.expect("reads");
        assert_eq!(tail.iter().map(|line| line.n).collect::<Vec<_>>(), [BUILD_LOG_LINES - 2, BUILD_LOG_LINES - 1]);
        assert!(tail[1].text.contains("cut here"), "{}", tail[1].text);
    }

    async fn only_the_latest_builds_keep_their_logs(db: Database) {
        let mut ids = Vec::new();
        for n in 0..=BUILD_LOGS_KEPT + 1 {
            let wish = Intent { create: true, build: Some(build()), ..intent("shop", DeployKind::Release) };
            ids.extend(db.store.deploy_begin(wish).await.expect("begins").build);
            db.store.build_claim(&format!("c{n}")).await.expect("answers").expect("a build");
            assert_eq!(db.store.build_log_append(ids[n as usize], &format!("c{n}"), &["line".to_owned()]).await, Ok(true));
        }
        for (place, id) in ids.iter().enumerate() {
            let kept = !db.store.build_log_read(*id, 0, 1).await.expect("reads").is_empty();
            assert_eq!(kept, place >= 2, "build {id} of {}", ids.len());
        }
    }
}
