use std::collections::BTreeMap;
use std::task::Poll;

use dinp_common::deploy::{DeployKind, Strategy};
use dinp_common::name::RouterId;
use dinp_common::route::{RouterStatus, TableVersion};
use dinp_store::{Intent, NewRelease};
use futures_util::poll;
use tempfile::TempDir;

use super::*;
use crate::explain::fixtures;
use crate::feed::Hearing;

struct Leader {
    reconciler: Reconciler,
    shutdown: CancellationToken,
    _dir: TempDir,
}

impl Leader {
    /// A server that does not lead yet.
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", dir.path().join("state.db").display());
        let store = Store::open(&url.parse().expect("an address")).await.expect("the store opens");
        let (cluster, shutdown) = (Cluster::new(), CancellationToken::new());
        let socket = format!("unix:{}", dir.path().join("routes.sock").display());
        let hearing = Hearing { store: store.clone(), cluster: cluster.clone() };
        let (feed, _task) = Feed::open(&socket, hearing, shutdown.clone()).expect("the feed opens");
        let domain = Host::parse("localhost").expect("a host");
        let leadership = Leadership::new("here".into(), true);
        let reconciler = Reconciler::new(store, cluster, leadership, feed, domain, Policy::default());
        Self { reconciler, shutdown, _dir: dir }
    }

    async fn lead(&self) {
        self.reconciler.leadership.clone().look_once(&self.reconciler.store, &self.reconciler.cluster).await;
        assert!(self.reconciler.leadership.acting().is_some(), "nobody else wants to lead");
    }

    /// Asks for an app, which is a route more.
    async fn change(&self) {
        let name = fixtures::name("hello");
        let release = NewRelease { spec: fixtures::release(1, 64).spec, note: "deploy".into(), build: None };
        let intent = Intent {
            app: name,
            create: true,
            expect_revision: None,
            based_on: None,
            kind: DeployKind::Release,
            strategy: Strategy::Rolling,
            note: "deploy".into(),
            author: "admin".into(),
            deadline_ms: 60_000,
            instances: None,
            stopped: None,
            deleted: false,
            release: Some(release),
            build: None,
            settings: Default::default(),
            restart: false,
            request: None,
        };
        self.reconciler.store.deploy_begin(intent).await.expect("begins");
    }

    fn at(&self) -> TableVersion {
        self.reconciler.term.as_ref().expect("a term").publisher().at()
    }

    fn leads(&self) -> bool {
        self.reconciler.cluster.snapshot().leading
    }

    async fn pass(&mut self) {
        self.reconciler.pass().await.expect("a pass");
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

#[tokio::test]
async fn what_was_read_before_the_lease_was_taken_is_not_acted_on() {
    let mut leader = Leader::new().await;
    let (leadership, store) = (leader.reconciler.leadership.clone(), leader.reconciler.store.clone());
    let cluster = leader.reconciler.cluster.clone();
    {
        let mut pass = std::pin::pin!(leader.reconciler.pass());
        assert!(matches!(poll!(&mut pass), Poll::Pending), "it waits for the store");
        leadership.look_once(&store, &cluster).await;
        pass.await.expect("a pass");
    }
    assert!(leadership.acting().is_some());
    assert!(!leader.leads());
    leader.pass().await;
    assert!(leader.leads());
}

#[tokio::test]
async fn a_late_renewal_of_the_same_lease_begins_no_second_history() {
    let mut leader = Leader::new().await;
    leader.lead().await;
    leader.pass().await;
    leader.change().await;
    leader.pass().await;
    let before = leader.at();
    assert!(before.version > 1, "{before:?}");
    let fence = leader.reconciler.leadership.acting().expect("it leads");
    leader.reconciler.leadership.lapse();
    leader.pass().await;
    assert!(!leader.leads());
    leader.reconciler.leadership.hold(fence);
    leader.pass().await;
    // A second history of the same epoch would be at its own version 1, which no router takes from now on.
    assert_eq!(leader.at(), before);
}

#[tokio::test]
async fn a_router_of_another_history_confirms_nothing_and_is_outdone() {
    let mut leader = Leader::new().await;
    leader.lead().await;
    leader.pass().await;
    type Confirmed = (TableVersion, Option<String>);
    let foreign: [fn(TableVersion) -> Confirmed; 3] = [
        |ours| (TableVersion { version: 57, ..ours }, None),
        |ours| (ours, Some("another".to_owned())),
        |_| (TableVersion { epoch: 9, version: 1 }, None),
    ];
    for foreign in foreign {
        let (ahead, holder) = foreign(leader.at());
        let router = RouterId::parse("r1").expect("a router");
        let status = RouterStatus { router: router.clone(), confirmed: Some(ahead), holder, in_flight: BTreeMap::new() };
        leader.reconciler.cluster.router_status(status, Instant::now());
        let mut observed = leader.reconciler.cluster.observed(Instant::now());
        let seen = leader.reconciler.term.as_ref().expect("a term").disown(&mut observed);
        assert_eq!((seen, observed.routers[&router].confirmed), (Some(ahead.epoch), None));
        leader.pass().await;
        leader.lead().await;
        leader.pass().await;
        assert!(leader.at().epoch > ahead.epoch, "{:?} is not above {ahead:?}", leader.at());
    }
}

#[tokio::test]
async fn an_equal_epoch_of_another_holder_is_outdone() {
    let leader = Leader::new().await;
    leader.lead().await;
    let fence = leader.reconciler.leadership.acting().expect("it leads");
    leader.reconciler.cluster.raise_epoch(fence.epoch);
    leader.lead().await;
    let now = leader.reconciler.leadership.acting().expect("it leads");
    assert_eq!(now.epoch, fence.epoch + 1);
    leader.lead().await;
    assert_eq!(leader.reconciler.leadership.acting(), Some(now), "nobody refuses this one");
}
