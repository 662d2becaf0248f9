//! No table grows for ever, and nothing that can still matter is dropped.

use dinp_common::deploy::{DeployKind, DeployNo, DeployState};
use dinp_common::plan::Change;
use dinp_common::release::ReleaseNo;
use dinp_store::{DEPLOYS_KEPT, Intent, RELEASES_RECORDED, Store};

use crate::given::*;
use crate::on_both;

async fn releases(store: &Store) -> Vec<u32> {
    let listed = store.release_list(&name("shop"), None, 1_000).await.expect("reads");
    listed.iter().rev().map(|release| release.number.0).collect()
}

/// As if so many deploys and releases had been made since.
async fn renumbered(db: &crate::database::Database, deploys: u32, releases: u32) {
    db.by_hand(&format!(
        "UPDATE deploys SET number = number + {deploys} WHERE number = (SELECT n FROM (SELECT MAX(number) AS n FROM deploys) t)"
    ))
    .await;
    db.by_hand(&format!("UPDATE releases SET number = number + {releases} WHERE number = (SELECT n FROM (SELECT MAX(number) AS n FROM releases) t)")).await;
}

on_both! {
    async fn old_deploys_releases_and_builds_go_and_what_matters_stays(db: Database) {
        let built = uploaded(&db.store, "shop").await;
        let build = built.build.expect("a build");
        let fence = leader(&db.store).await;
        for n in 1..=4u8 {
            deployed(&db.store, "shop", n).await;
        }
        // v1 serves, an instance is of v2; v3 and v4 were tried.
        let live = Change::Live { app: name("shop"), release: ReleaseNo(4), generation: 0 };
        db.store.commit(&fence, &[place("shop", 2, 1), live]).await.expect("writes");
        db.by_hand("UPDATE apps SET live = 1 WHERE name = 'shop'").await;
        let last = deployed(&db.store, "shop", 5).await;
        let finish = Change::Finish { app: name("shop"), deploy: last.number, state: DeployState::Succeeded, failure: None };
        db.store.commit(&fence, &[finish]).await.expect("writes");
        assert_eq!(releases(&db.store).await, [1, 2, 3, 4, 5]);
        db.store.build_log_append(build, "none", &[]).await.ok();

        renumbered(&db, DEPLOYS_KEPT, RELEASES_RECORDED).await;
        let far = RELEASES_RECORDED + 5;
        let scale = Intent { instances: Some(2), ..intent("shop", DeployKind::Scale) };
        let newest = db.store.deploy_begin(scale).await.expect("begins");
        assert_eq!(newest.number, DeployNo(DEPLOYS_KEPT + 7));
        assert_eq!(releases(&db.store).await, [1, 2, far], "live, of an instance, and the latest");
        let deploys = db.store.deploy_list(&name("shop"), None, 1_000).await.expect("reads");
        assert_eq!(deploys.iter().map(|deploy| deploy.number.0).collect::<Vec<_>>(), [DEPLOYS_KEPT + 7, DEPLOYS_KEPT + 6]);
        assert_eq!(db.store.build_get(build).await, Ok(None), "its deploy is gone, and no release came of it");
        assert_eq!(db.store.desired_load().await.expect("reads").refused.len(), 0, "nothing that is referred to is missing");
    }

    async fn a_build_behind_one_that_cannot_be_read_is_claimed(db: Database) {
        let first = uploaded(&db.store, "blog").await;
        let second = uploaded(&db.store, "shop").await;
        db.by_hand("UPDATE builds SET artifact = 'x' WHERE id = 1").await;
        let claimed = db.store.build_claim("one").await.expect("answers").expect("a build");
        assert_eq!(Some(claimed.id), second.build);
        assert_eq!(db.store.build_claim("two").await, Ok(None));
        drop(first);
    }
}
