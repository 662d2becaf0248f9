//! The store on SQLite and on MariaDB, beside the one in memory.

use dinp_common::deploy::DeployKind;
use dinp_common::fence::{Fence, LeaseRow};
use dinp_common::name::{AppName, RouterId};
use dinp_common::node::NodeUse;
use dinp_common::plan::Change;
use dinp_store::{Intent, Store, StoreError};

use crate::changes::{APPS, draw_change};
use crate::database::Database;
use crate::draw::Draw;
use crate::given::{intent, name, node, release};
use crate::tables::Tables;

/// Few and long: a new database takes as long as a hundred operations.
const SEEDS: u64 = 4;
const OPERATIONS: usize = 120;
const HOLDERS: [&str; 3] = ["a", "b", "c"];

struct Pair<'s> {
    store: &'s Store,
    tables: Tables,
    draw: Draw,
    /// Every fence that was ever given, and one that was not.
    fences: Vec<Fence>,
    /// Rows as somebody saw them.
    seen: Vec<LeaseRow>,
}

#[tokio::test]
async fn sqlite_and_the_store_in_memory_answer_alike() {
    for seed in 0..SEEDS {
        conform(&Database::sqlite().await.store, seed).await;
    }
}

#[tokio::test]
async fn mariadb_and_the_store_in_memory_answer_alike() {
    for seed in 0..SEEDS {
        conform(&Database::mariadb().await.store, seed).await;
    }
}

async fn conform(store: &Store, seed: u64) {
    let cluster = store.cluster();
    let lease = store.lease_read().await.expect("reads");
    let desired = store.desired_load().await.expect("reads");
    let never = Fence { cluster: cluster.clone(), epoch: 1, holder: "nobody".to_owned() };
    let seen = vec![lease.clone()];
    let tables = Tables { cluster, lease, desired, releases: Default::default(), newest: Default::default() };
    let mut pair = Pair { store, tables, draw: Draw::new(seed), fences: vec![never], seen };
    let mut refused = 0;
    for at in 0..OPERATIONS {
        let (what, fenced) = pair.operate().await;
        refused += u32::from(fenced);
        let told = || format!("seed {seed}, operation {at}: {what}");
        assert_eq!(store.lease_read().await.expect("reads"), pair.tables.lease, "{}", told());
        let mut real = store.desired_load().await.expect("reads");
        // Which images stay follows from releases and builds, and no change of a leader's names them.
        real.images.clone_from(&pair.tables.desired.images);
        assert_eq!(real, pair.tables.load(), "{}", told());
    }
    assert!(refused > 0, "seed {seed} never meets a stale fence");
}

impl Pair<'_> {
    /// One operation on both; what it was, and whether it was refused for its fence.
    async fn operate(&mut self) -> (String, bool) {
        match self.draw.below(10) {
            0 | 1 => (self.wish().await, false),
            2 => (self.take().await, false),
            3 => (self.renew_or_release().await, false),
            4 => (self.join_or_leave().await, false),
            _ => self.commit().await,
        }
    }

    /// People ask for something. What they leave is read from the store, since only changes are compared here.
    async fn wish(&mut self) -> String {
        let app = *self.draw.one_of(&APPS);
        let n = self.draw.below(4) as u8;
        let wish = match self.draw.below(6) {
            0 | 1 => Intent { create: true, release: Some(release(n)), ..intent(app, DeployKind::Release) },
            2 => Intent { instances: Some(n.into()), ..intent(app, DeployKind::Scale) },
            3 => Intent { restart: true, ..intent(app, DeployKind::Restart) },
            4 => Intent { stopped: Some(n > 1), ..intent(app, DeployKind::Stop) },
            _ => Intent { deleted: true, ..intent(app, DeployKind::Delete) },
        };
        let what = format!("{} of {app}", wish.kind);
        let answer = self.store.deploy_begin(wish).await;
        self.read_wishes(&name(app)).await;
        format!("{what}: {:?}", answer.map(|deploy| deploy.number))
    }

    async fn read_wishes(&mut self, app: &AppName) {
        self.tables.desired = self.store.desired_load().await.expect("reads");
        for release in self.store.release_list(app, None, 1000).await.expect("reads") {
            self.tables.releases.insert((app.clone(), release.number), release);
        }
        if let Some(newest) = self.store.deploy_latest(app).await.expect("reads") {
            self.tables.newest.insert(app.clone(), newest);
        }
    }

    async fn take(&mut self) -> String {
        // Mostly as it is, sometimes as it was.
        let seen = if self.draw.one_in(3) { self.draw.one_of(&self.seen).clone() } else { self.tables.lease.clone() };
        let (holder, at_least) = (*self.draw.one_of(&HOLDERS), self.draw.below(self.tables.lease.epoch + 3));
        let real = self.store.lease_take(&seen, holder, at_least).await.expect("answers");
        let what = format!("{holder} takes {seen:?} for at least {at_least}");
        assert_eq!(real, self.tables.take(&seen, holder, at_least), "{what}");
        self.fences.extend(real);
        self.seen.push(self.tables.lease.clone());
        what
    }

    /// Mostly the newest.
    fn fence(&mut self) -> Fence {
        let any = self.draw.one_of(&self.fences).clone();
        if self.draw.one_in(4) { any } else { self.fences[self.fences.len() - 1].clone() }
    }

    async fn renew_or_release(&mut self) -> String {
        let fence = self.fence();
        if self.draw.one_in(4) {
            self.store.lease_release(&fence).await.expect("answers");
            self.tables.release(&fence);
            return format!("{fence:?} is released");
        }
        let real = self.store.lease_renew(&fence).await.expect("answers");
        assert_eq!(real, self.tables.touch(&fence), "{fence:?} is renewed");
        self.seen.push(self.tables.lease.clone());
        format!("{fence:?} is renewed")
    }

    async fn join_or_leave(&mut self) -> String {
        let router = RouterId::parse("r1").expect("a router");
        let what = match self.draw.below(4) {
            0 => self.store.node_record(&node("n2")).await.map(|_| "a node joins"),
            1 => self.store.node_use(&node("n2"), NodeUse::Cordoned, "ann").await.map(|_| "a node is cordoned"),
            2 => self.store.router_record(&router).await.map(|_| "a router joins"),
            _ => self.store.router_forget(&router).await.map(|_| "a router leaves"),
        };
        let read = self.store.desired_load().await.expect("reads");
        (self.tables.desired.nodes, self.tables.desired.routers) = (read.nodes, read.routers);
        format!("{what:?}")
    }

    async fn commit(&mut self) -> (String, bool) {
        let mut fence = self.fence();
        if self.draw.one_in(20) {
            fence.cluster = dinp_common::name::ClusterId::parse("elsewhere").expect("a name");
        }
        let newest = &self.tables.newest;
        let draw = &mut self.draw;
        let changes: Vec<Change> = (0..=draw.below(4)).map(|_| draw_change(draw, |app| newest.get(app).cloned())).collect();
        let real = match self.store.commit(&fence, &changes).await {
            Ok(()) => true,
            Err(StoreError::Fenced) => false,
            Err(error) => panic!("{changes:?}: {error}"),
        };
        assert_eq!(real, self.tables.commit(&fence, &changes), "{fence:?}: {changes:?}");
        (format!("{fence:?} commits {changes:#?}"), !real)
    }
}
