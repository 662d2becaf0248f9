//! What the leader reads.

use dinp_common::build::BuildId;
use dinp_common::deploy::DeployKind;
use dinp_common::name::RouterId;
use dinp_common::plan::{Change, Desired};
use dinp_common::release::ReleaseNo;
use dinp_store::Intent;

use crate::given::*;
use crate::on_both;

on_both! {
    async fn a_new_store_wants_nothing(db: Database) {
        assert_eq!(db.store.desired_load().await, Ok(Desired { next_instance: 1, ..Desired::default() }));
    }

    async fn all_that_matters_is_there_and_sorted(db: Database) {
        for app in ["shop", "blog"] {
            deployed(&db.store, app, 1).await;
        }
        let fence = leader(&db.store).await;
        let live = Change::Live { app: name("shop"), release: ReleaseNo(1), generation: 0 };
        db.store.commit(&fence, &[live, place("shop", 1, 1), place("shop", 1, 2), place("blog", 1, 3)]).await.expect("writes");
        deployed(&db.store, "shop", 2).await;
        deployed(&db.store, "shop", 3).await;
        db.store.node_record(&node("n2")).await.expect("records");
        db.store.node_record(&node("n1")).await.expect("records");
        db.store.router_record(&RouterId::parse("r1").expect("a name")).await.expect("records");

        let desired = db.store.desired_load().await.expect("reads");
        assert_eq!(desired.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["blog", "shop"]);
        let releases: Vec<String> = desired.releases.keys().map(|(app, release)| format!("{app} {release}")).collect();
        assert_eq!(releases, ["blog v1", "shop v1", "shop v3"], "the superseded v2 has no part in anything");
        assert_eq!(desired.deploys.iter().map(|deploy| (deploy.app.as_str(), deploy.number.0)).collect::<Vec<_>>(), [("blog", 1), ("shop", 3)]);
        assert!(desired.instances.is_sorted_by_key(|instance| instance.id.clone()) && desired.instances.len() == 3);
        assert_eq!(desired.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["n1", "n2"]);
        assert_eq!((desired.routers.len(), desired.next_instance), (1, 4));
        let lies_at = |text: &str| text.as_ptr();
        let apps: Vec<_> = desired.apps.iter().map(|app| lies_at(app.name.as_str())).collect();
        let nodes: Vec<_> = desired.nodes.iter().map(|node| lies_at(node.name.as_str())).collect();
        for instance in &desired.instances {
            let (app, node) = (lies_at(instance.app.as_str()), lies_at(instance.node.as_str()));
            assert!(apps.contains(&app) && nodes.contains(&node), "a name is held once, however many instances have it");
        }
    }

    /// DESIGN 6: a query cut off half-way made the missing apps look deleted; and one bad row is one app's trouble.
    async fn a_record_that_cannot_be_read_refuses_its_app_alone(db: Database) {
        deployed(&db.store, "shop", 1).await;
        deployed(&db.store, "blog", 1).await;
        let fence = leader(&db.store).await;
        let prove = Change::Prove { instance: instance("shop", 1, 1).id, address: "10.0.0.1:80".parse().expect("an address") };
        db.store.commit(&fence, &[place("shop", 1, 1), place("blog", 1, 2), prove]).await.expect("writes");
        let whole = db.store.desired_load().await.expect("reads");
        assert_eq!(whole.refused.len(), 0);
        for (broken, mended, left) in [
            ("UPDATE apps SET stopped = 7 WHERE name = 'shop'", "UPDATE apps SET stopped = 0 WHERE name = 'shop'", 1),
            ("UPDATE apps SET instances = -1 WHERE name = 'shop'", "UPDATE apps SET instances = 1 WHERE name = 'shop'", 1),
            ("UPDATE apps SET live = 44 WHERE name = 'shop'", "UPDATE apps SET live = NULL WHERE name = 'shop'", 1),
            ("UPDATE deploys SET strategy = 'yolo' WHERE app = 'shop'", "UPDATE deploys SET strategy = 'rolling' WHERE app = 'shop'", 1),
            ("UPDATE instances SET address = 'home' WHERE app = 'shop'", "UPDATE instances SET address = '10.0.0.1:80' WHERE app = 'shop'", 0),
            ("UPDATE releases SET env = '{' WHERE app = 'shop'", "UPDATE releases SET env = '{\"A\":{\"value\":\"b\"}}' WHERE app = 'shop'", 0),
            ("UPDATE releases SET image_config = 'latest' WHERE app = 'shop'", "", 0),
        ] {
            db.by_hand(broken).await;
            let desired = db.store.desired_load().await.expect(broken);
            assert_eq!(desired.refused.keys().collect::<Vec<_>>(), ["shop"], "{broken}");
            assert_eq!(desired.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>(), ["blog", "shop"], "{broken}");
            assert_eq!((desired.deploys.len(), desired.deploys[0].app.as_str()), (1, "blog"), "nothing of it is under way");
            assert_eq!(desired.instances_of(&name("shop")).count(), left, "{broken}: what can be read of it stays");
            assert_eq!(desired.instances_of(&name("blog")).count(), 1);
            let why = &desired.refused["shop"];
            assert!(!why.contains("yolo") && !why.contains('{'), "a value may be a secret: {why}");
            assert_eq!(db.store.deploy_list_built().await.expect("reads").len(), 0);
            let listed = db.store.app_list(None, 9, None).await.expect("reads");
            assert!(listed.iter().any(|app| app.name.as_str() == "blog"), "{listed:?}");
            if !mended.is_empty() {
                db.by_hand(mended).await;
                assert_eq!(db.store.desired_load().await.expect(mended).refused.len(), 0, "{mended}");
            }
        }
    }

    /// The issue: editing the instance count by hand in SQL converges.
    async fn a_count_edited_by_hand_is_what_is_wanted(db: Database) {
        deployed(&db.store, "shop", 1).await;
        db.by_hand("UPDATE apps SET instances = 4 WHERE name = 'shop'").await;
        assert_eq!(db.store.desired_load().await.expect("reads").apps[0].instances, 4);
    }

    /// A reader between two writes of one commit would see an instance less.
    async fn a_read_sees_commits_whole(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let fence = leader(&db.store).await;
        db.store.commit(&fence, &[place("shop", 1, 1)]).await.expect("writes");
        let writer = db.store.clone();
        let task = tokio::spawn(async move {
            for sequence in 2..60 {
                let forget = Change::Forget { instance: instance("shop", 1, sequence - 1).id };
                writer.commit(&fence, &[forget, place("shop", 1, sequence)]).await.expect("writes");
            }
        });
        let mut reads = 0;
        while !task.is_finished() || reads == 0 {
            let desired = db.store.desired_load().await.expect("reads");
            let ids: Vec<_> = desired.instances.iter().map(|instance| instance.id.clone()).collect();
            assert_eq!(ids, [instance("shop", 1, desired.next_instance - 1).id]);
            reads += 1;
        }
        task.await.expect("runs");
    }

    async fn images_of_the_last_five_and_of_all_in_use_are_kept(db: Database) {
        deployed(&db.store, "shop", 1).await;
        let fence = leader(&db.store).await;
        let live = Change::Live { app: name("shop"), release: ReleaseNo(1), generation: 0 };
        db.store.commit(&fence, &[live]).await.expect("writes");
        deployed(&db.store, "shop", 2).await;
        db.store.commit(&fence, &[place("shop", 2, 1)]).await.expect("writes");
        for n in 3..=9 {
            deployed(&db.store, "shop", n).await;
        }
        let kept = async || {
            let keep = db.store.desired_load().await.expect("reads").images.keep;
            (1..=9).filter(|n| keep.contains(&digest(*n))).collect::<Vec<_>>()
        };
        assert_eq!(kept().await, [1, 2, 5, 6, 7, 8, 9], "live, with an instance, and the newest five");
        let late = Change::Live { app: name("shop"), release: ReleaseNo(9), generation: 0 };
        let forget = Change::Forget { instance: instance("shop", 2, 1).id };
        let finish = Change::Finish {
            app: name("shop"),
            deploy: dinp_common::deploy::DeployNo(9),
            state: dinp_common::deploy::DeployState::Succeeded,
            failure: None,
        };
        db.store.commit(&fence, &[late, forget]).await.expect("writes");
        assert_eq!(kept().await, [1, 5, 6, 7, 8, 9], "a running deploy returns to v1 if it fails");
        db.store.commit(&fence, &[finish]).await.expect("writes");
        assert_eq!(kept().await, [5, 6, 7, 8, 9]);
    }

    async fn an_unfinished_build_is_not_settled(db: Database) {
        let settled = async || db.store.desired_load().await.expect("reads").images.settled;
        assert_eq!(settled().await, None);
        let first = uploaded(&db.store, "one").await;
        assert_eq!(settled().await, None);
        uploaded(&db.store, "two").await;
        db.store.build_claim("x").await.expect("answers").expect("a build");
        let outcome = dinp_common::build::BuildOutcome::Failed { why: "x".to_owned(), fix: "y".to_owned() };
        assert_eq!(db.store.build_finish(BuildId(1), "x", &outcome).await, Ok(true));
        assert_eq!(settled().await, None, "its deploy still runs");
        db.store.deploy_fail(&name("one"), first.number, failure()).await.expect("answers");
        assert_eq!(settled().await, Some(BuildId(1)));
        let restart = Intent { restart: true, ..intent("two", DeployKind::Restart) };
        db.store.deploy_begin(restart).await.expect("begins");
        assert_eq!(settled().await, Some(BuildId(2)), "superseded, and so decided");
    }
}
