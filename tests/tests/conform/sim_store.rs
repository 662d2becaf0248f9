//! The simulator's store beside the real one, on SQLite and on MariaDB: wishes, builds, the lease, leaders' commits, and
//! what a pass reads after each.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::build::BuildId;
use dinp_common::deploy::{Deploy, DeployKind, DeployNo, DeployPhase, DeployState};
use dinp_common::fence::{Fence, LeaseRow};
use dinp_common::name::{AppName, ClusterId, RouterId};
use dinp_common::node::NodeUse;
use dinp_common::plan::{Change, Desired};
use dinp_store::{HoldError, IntentError, NewRelease, Store, StoreError};
use dinp_tests::sim::names;
use dinp_tests::sim::store::hold::Hold;
use dinp_tests::sim::store::{Fenced, Store as Simulated};

use crate::changes::{APPS, draw_change};
use crate::database::Database;
use crate::draw::Draw;
use crate::given::{failure, name, node, spec};
use crate::wishes::{draw_wish, intent_of};

/// Few and long: a new database takes as long as a hundred operations.
const SEEDS: u64 = 6;
const OPERATIONS: usize = 250;
const HOLDERS: [&str; 3] = ["a", "b", "c"];
const DEADLINE_MS: u64 = 60_000;
/// What a run must meet, or it compares less than it says.
const OUTCOMES: [&str; 28] = [
    "release begun",
    "scale begun",
    "scale of what is under way",
    "scale of what is paused",
    "restart begun",
    "rollback begun",
    "stop begun",
    "start begun",
    "delete begun",
    "wish refused",
    "held",
    "not held",
    "built",
    "built too late",
    "taken",
    "not taken",
    "renewed",
    "not renewed",
    "released",
    "committed",
    "fenced",
    "node used",
    "node unknown",
    "rebalance begun",
    "rebalance goes on",
    "rebalance cancelled",
    "nothing to cancel",
    "joined or left",
];

struct Pair<'s> {
    store: &'s Store,
    sim: Simulated,
    draw: Draw,
    /// Every fence that was ever given, and one that was not.
    fences: Vec<Fence>,
    /// Rows as somebody saw them.
    seen: Vec<LeaseRow>,
    builds: u32,
    outcomes: BTreeSet<&'static str>,
}

#[tokio::test]
async fn sqlite_and_the_simulated_store_answer_alike() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..SEEDS {
        outcomes.extend(conform(&Database::sqlite().await.store, seed).await);
    }
    assert_eq!(outcomes, BTreeSet::from(OUTCOMES));
}

#[tokio::test]
async fn mariadb_and_the_simulated_store_answer_alike() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..SEEDS {
        outcomes.extend(conform(&Database::mariadb().await.store, seed).await);
    }
    assert_eq!(outcomes, BTreeSet::from(OUTCOMES));
}

async fn conform(store: &Store, seed: u64) -> BTreeSet<&'static str> {
    let never = Fence { cluster: store.cluster(), epoch: 1, holder: "nobody".to_owned() };
    let sim = Simulated::default();
    let seen = vec![sim.lease.clone()];
    let draw = Draw::new(seed);
    let mut pair = Pair { store, sim, draw, fences: vec![never], seen, builds: 0, outcomes: BTreeSet::new() };
    for at in 0..OPERATIONS {
        let what = pair.operate().await;
        let told = || format!("seed {seed}, operation {at}: {what}");
        assert_eq!(store.lease_read().await.expect("reads"), pair.sim.lease, "{}", told());
        let real = plain(store.desired_load().await.expect("reads"));
        assert_eq!(real, plain(pair.sim.load()), "{}", told());
    }
    pair.outcomes
}

/// Without what decides nothing: words, times, and which images stay, which the simulator's engines never remove.
fn plain(mut desired: Desired) -> Desired {
    desired.apps.iter_mut().for_each(|app| app.created_at.clear());
    desired.deploys = desired.deploys.into_iter().map(plain_deploy).collect();
    for release in desired.releases.values_mut() {
        release.note.clear();
        release.author.clear();
        release.created_at.clear();
    }
    desired.images = Default::default();
    desired
}

fn plain_deploy(deploy: Deploy) -> Deploy {
    let (note, author, created_at) = Default::default();
    Deploy { note, author, created_at, ..deploy }
}

impl Pair<'_> {
    /// One operation on both; what it was.
    async fn operate(&mut self) -> String {
        let (what, outcome) = match self.draw.below(17) {
            0..=3 => self.wish().await,
            4 | 5 => self.hold().await,
            6 => self.build().await,
            7 => self.take().await,
            8 => self.renew_or_release().await,
            9 => self.join_or_leave().await,
            10 => self.use_node().await,
            11 => self.rebalance().await,
            _ => self.commit().await,
        };
        self.outcomes.insert(outcome);
        format!("{what}: {outcome}")
    }

    async fn wish(&mut self) -> (String, &'static str) {
        let app = name(self.draw.one_of::<&str>(&APPS));
        let wish = draw_wish(&mut self.draw);
        let real = match intent_of(self.store, &app, &wish).await {
            None => None,
            Some(intent) => match self.store.deploy_begin(intent).await {
                Ok(deploy) => Some(plain_deploy(deploy)),
                Err(IntentError::NotFound { .. } | IntentError::Deleting { .. }) => None,
                Err(error) => panic!("{app}, {wish:?}: {error}"),
            },
        };
        self.builds = self.builds.max(real.as_ref().and_then(|deploy| deploy.build).map_or(0, |build| build.0));
        let before = self.sim.tables.deploy(&app).cloned();
        let sim = self.sim.begin(&app, &wish, DEADLINE_MS);
        assert_eq!(real, sim, "{app}: {wish:?}, after {before:?}");
        (format!("{app}: {wish:?}"), sim.map_or("wish refused", |deploy| begun(deploy.kind, before)))
    }

    async fn hold(&mut self) -> (String, &'static str) {
        let app = name(self.draw.one_of::<&str>(&APPS));
        let newest = self.store.deploy_latest(&app).await.expect("reads").map_or(1, |deploy| deploy.number.0);
        let number = if self.draw.one_in(5) { DeployNo(newest.saturating_sub(1)) } else { DeployNo(newest) };
        let before = self.store.deploy_get(&app, number).await.expect("reads");
        let hold = *self.draw.one_of(&[Hold::Pause, Hold::Pause, Hold::Resume, Hold::Cancel]);
        let real = match hold {
            Hold::Pause => self.store.deploy_pause(&app, number, "somebody", None).await,
            Hold::Resume => self.store.deploy_resume(&app, number, "somebody").await,
            Hold::Cancel => self.store.deploy_cancel(&app, number, "somebody").await,
        };
        // One that is cancelled already is so however often somebody says it, and nothing happens.
        let again = hold == Hold::Cancel && before.is_some_and(|deploy| deploy.state == DeployState::Cancelled);
        let real = match real {
            Ok(_) => !again,
            Err(HoldError::NotFound { .. } | HoldError::Ended(_) | HoldError::Never { .. }) => false,
            Err(HoldError::Store(error)) => panic!("{app} {number}, {hold:?}: {error}"),
        };
        assert_eq!(real, self.sim.hold(&app, number, hold), "{app} {number}: {hold:?}");
        (format!("{app} {number}: {hold:?}"), if real { "held" } else { "not held" })
    }

    /// A build ends, sometimes one that nobody waits for any more.
    async fn build(&mut self) -> (String, &'static str) {
        let any = 1 + self.draw.below(u64::from(self.builds) + 1) as u32;
        let build = BuildId(if self.draw.one_in(4) { any } else { self.builds });
        let (n, failed) = (self.draw.below(4) as u8, self.draw.one_in(3));
        let of = self.store.deploy_of_build(build).await.expect("reads");
        let real = match of {
            None => false,
            Some(Deploy { app, number, phase, .. }) if failed => {
                let waits = phase == DeployPhase::Build;
                waits && self.store.deploy_fail(&app, number, failure()).await.expect("answers")
            }
            Some(Deploy { app, number, .. }) => {
                let new = NewRelease { spec: spec(n), note: String::new(), build: None };
                self.store.deploy_release(&app, number, new).await.expect("answers").is_some()
            }
        };
        let what = format!("build {} {}", build.0, if failed { "fails" } else { "succeeds" });
        if failed {
            self.sim.build_failed(build);
        } else {
            assert_eq!(real, self.sim.build_succeeded(build, spec(n)).is_some(), "{what}");
        }
        (what, if real { "built" } else { "built too late" })
    }

    async fn take(&mut self) -> (String, &'static str) {
        // Mostly as it is, sometimes as it was.
        let seen = if self.draw.one_in(3) { self.draw.one_of(&self.seen).clone() } else { self.sim.lease.clone() };
        let (holder, at_least) = (*self.draw.one_of(&HOLDERS), self.draw.below(self.sim.lease.epoch + 3));
        let what = format!("{holder} takes {seen:?} for at least {at_least}");
        let real = self.store.lease_take(&seen, holder, at_least).await.expect("answers");
        let sim = self.sim.take(&seen, holder, at_least);
        assert_eq!(real.clone().map(simulated), sim, "{what}");
        self.fences.extend(real);
        self.seen.push(self.sim.lease.clone());
        (what, if sim.is_some() { "taken" } else { "not taken" })
    }

    /// Mostly the newest.
    fn fence(&mut self) -> Fence {
        let any = self.draw.one_of(&self.fences).clone();
        if self.draw.one_in(4) { any } else { self.fences[self.fences.len() - 1].clone() }
    }

    async fn renew_or_release(&mut self) -> (String, &'static str) {
        let fence = self.fence();
        let what = format!("{fence:?} is renewed or released");
        if self.draw.one_in(4) {
            self.store.lease_release(&fence).await.expect("answers");
            self.sim.release(&simulated(fence));
            return (what, "released");
        }
        let real = self.store.lease_renew(&fence).await.expect("answers");
        assert_eq!(real, self.sim.touch(&simulated(fence)), "{what}");
        self.seen.push(self.sim.lease.clone());
        (what, if real { "renewed" } else { "not renewed" })
    }

    async fn join_or_leave(&mut self) -> (String, &'static str) {
        let n = self.draw.below(3);
        let (node, router) = (node(&format!("n{n}")), RouterId::parse(&format!("r{n}")).expect("a router"));
        match self.draw.below(4) {
            0 | 1 => {
                self.store.node_record(&node).await.expect("answers");
                self.sim.record_node(&node);
            }
            2 => {
                self.store.router_record(&router).await.expect("answers");
                self.sim.record_router(&router);
            }
            _ => {
                self.store.router_forget(&router).await.expect("answers");
                self.sim.forget_router(&router);
            }
        }
        (format!("{node} or {router} joins or leaves"), "joined or left")
    }

    async fn use_node(&mut self) -> (String, &'static str) {
        let node = node(&format!("n{}", self.draw.below(3)));
        let wanted = *self.draw.one_of(&[NodeUse::Open, NodeUse::Cordoned, NodeUse::Draining]);
        let real = match self.store.node_use(&node, wanted, "ann").await {
            Ok(_) => true,
            Err(StoreError::NotFound { .. }) => false,
            Err(error) => panic!("{node}, {wanted:?}: {error}"),
        };
        assert_eq!(real, self.sim.node_use(&node, wanted), "{node}: {wanted:?}");
        (format!("{node}: {wanted:?}"), if real { "node used" } else { "node unknown" })
    }

    async fn rebalance(&mut self) -> (String, &'static str) {
        if self.draw.one_in(3) {
            let real = self.store.rebalance_cancel("somebody").await.expect("answers");
            assert_eq!(real.is_some(), self.sim.rebalance_cancel(), "{real:?}");
            return (
                "a rebalance is cancelled".to_owned(),
                if real.is_some() { "rebalance cancelled" } else { "nothing to cancel" },
            );
        }
        let (real, new) = self.store.rebalance_begin("somebody").await.expect("answers");
        assert_eq!(new, self.sim.rebalance_begin(), "{real:?}");
        ("a rebalance is asked for".to_owned(), if new { "rebalance begun" } else { "rebalance goes on" })
    }

    async fn commit(&mut self) -> (String, &'static str) {
        let mut fence = self.fence();
        if self.draw.one_in(20) {
            fence.cluster = ClusterId::parse("elsewhere").expect("a name");
        }
        let mut newest = BTreeMap::<AppName, Deploy>::new();
        for app in APPS.map(name) {
            newest.extend(self.store.deploy_latest(&app).await.expect("reads").map(|deploy| (app, deploy)));
        }
        let draw = &mut self.draw;
        let changes: Vec<Change> = (0..=draw.below(4)).map(|_| draw_change(draw, |app| newest.get(app).cloned())).collect();
        let real = match self.store.commit(&fence, &changes).await {
            Ok(()) => Ok(()),
            Err(StoreError::Fenced) => Err(Fenced),
            Err(error) => panic!("{changes:?}: {error}"),
        };
        let what = format!("{fence:?} commits {changes:#?}");
        let sim = self.sim.commit(&simulated(fence), &changes, true).map(drop);
        assert_eq!(real, sim, "{what}");
        (what, if sim.is_ok() { "committed" } else { "fenced" })
    }
}

fn begun(kind: DeployKind, before: Option<Deploy>) -> &'static str {
    match (kind, before) {
        (DeployKind::Release, _) => "release begun",
        (DeployKind::Scale, None) => "scale begun",
        (DeployKind::Scale, Some(before)) if before.paused.is_some() => "scale of what is paused",
        (DeployKind::Scale, Some(_)) => "scale of what is under way",
        (DeployKind::Restart, _) => "restart begun",
        (DeployKind::Rollback, _) => "rollback begun",
        (DeployKind::Stop, _) => "stop begun",
        (DeployKind::Start, _) => "start begun",
        (DeployKind::Delete, _) => "delete begun",
    }
}

/// The same fence in the simulator, whose cluster has a name of its own.
fn simulated(fence: Fence) -> Fence {
    let elsewhere = fence.cluster.as_str() == "elsewhere";
    if elsewhere { fence } else { Fence { cluster: names::cluster(), ..fence } }
}
