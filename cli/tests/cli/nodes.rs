//! What is used for what, and what leaves a node.

use std::time::{Duration, Instant};

use dinp_common::api::{DrainState, DrainView, RebalanceState, RebalanceView};
use dinp_common::name::NodeName;
use expect_test::expect;

use crate::run::User;
use crate::server::{Script, Server};

fn drain(stuck: Option<&str>) -> Script {
    let drain = DrainView {
        node: NodeName::parse("node-1").expect("a name"),
        state: DrainState::Draining,
        step: "1 instance still to move".into(),
        instances: Vec::new(),
        holds: Vec::new(),
        stuck: stuck.map(str::to_owned),
    };
    Script { drain: Some(drain), ..Script::default() }
}

#[test]
fn a_drain_that_no_other_node_can_take_ends_with_the_reasons_and_an_exit_code() {
    let server =
        Server::start(drain(Some("node-1 is the only node, so nothing on it can move (shop: node-1: it is being drained)")));
    let begun = Instant::now();
    let said = User::of(&server.url).run(&["nodes", "drain", "node-1"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "it waits for ever");
    let said = said.all();
    let error = said.split_once("error:").map(|(_, error)| format!("error:{error}")).unwrap_or(said);
    expect![[r#"
        error: node-1 is not drained: nothing on it can move
          why:  node-1 is the only node, so nothing on it can move (shop: node-1: it is being drained)
          now:  the drain of node-1 goes on: dinp nodes; it ends with: dinp nodes uncordon node-1
          try:  add a node, free one (dinp nodes uncordon NAME) or scale something down; to wait for room: --timeout 1h
        --- exit 8
    "#]]
    .assert_eq(&error);
}

#[test]
fn a_drain_is_waited_for_as_long_as_people_say() {
    let server = Server::start(drain(Some("no other node can take what is left on node-1: shop: node-2: it is lost")));
    let said = User::of(&server.url).run(&["nodes", "drain", "node-1", "--timeout", "6s"]);
    assert_eq!(said.code, 6, "{}", said.all());
    assert!(said.all().contains("node-1 is not drained after N s"), "{}", said.all());
}

#[test]
fn a_rehearsed_drain_prints_what_would_move_and_what_would_stay() {
    let server = Server::start(drain(None));
    let said = User::of(&server.url).run(&["nodes", "drain", "node-1", "--dry-run"]);
    expect![[r#"
        NODE    NOW  THEN
        node-1  2    1
        node-2  0    0

        STEP  DOES   INSTANCE          NODE    WHY
        1     start  shop v3 number 1  node-2  placed: least loaded of 2, 1 filtered
        d4e5f6 of shop would stay: node-2: needs 256MiB and has 44MiB free of 300MiB
        --- stderr
        dry run: drain of node-1. Nothing is changed
        error: 1 instance would be left on node-1
          why:  node-2: needs 256MiB and has 44MiB free of 300MiB
          try:  add a node, free one (dinp nodes uncordon NAME) or scale something down
        --- exit 8
    "#]]
    .assert_eq(&said.all());
    assert_eq!(server.asked(), Vec::<String>::new(), "nothing was asked for");
}

#[test]
fn a_node_is_shown_with_what_it_has_and_what_stands_on_it() {
    let server = Server::start(drain(None));
    expect![[r#"
        node-1  Cordoned
          nothing new is placed on it
          instances  1
          memory     256MiB of 2GiB
          processors 2
          addresses  249 usable
          disk       5.0 GB free of 20.0 GB
          docker     20.10
          version    0.1.0
          zone       a
          labels     disk=ssd

        INSTANCE  APP   RELEASE  STATUS   WHY
        a1b2c3    shop  v3       Running  healthy and in the routes
        --- stderr
        --- exit 0
    "#]]
    .assert_eq(&User::of(&server.url).run(&["nodes", "show", "node-1"]).all());
}

fn rebalance(state: RebalanceState, begun: bool, step: &str) -> RebalanceView {
    RebalanceView { state, by: Some("ann".into()), begun, moved: 0, moves: Vec::new(), step: step.into() }
}

fn rebalances(views: impl IntoIterator<Item = RebalanceView>) -> Server {
    Server::start(Script { rebalances: views.into_iter().collect(), ..Script::default() })
}

#[test]
fn a_rehearsed_rebalance_prints_each_move_from_node_to_node_and_why() {
    let server = rebalances([rebalance(RebalanceState::None, false, "")]);
    expect![[r#"
        NODE    NOW  THEN
        node-1  2    1
        node-2  0    1

        INSTANCE  APP   FROM    TO      WHY
        d4e5f6    shop  node-1  node-2  node-1 holds 2 of it, node-2 none
        1 instance would move: no move improves the balance any more
        --- stderr
        dry run: rebalance. Nothing is changed
        --- exit 0
    "#]]
    .assert_eq(&User::of(&server.url).run(&["nodes", "rebalance", "--dry-run"]).all());
    assert_eq!(server.asked(), Vec::<String>::new(), "nothing was asked for");
    let server = rebalances([]);
    expect![[r#"
        NODE    NOW  THEN
        node-1  2    2
        nothing would move: no move improves the balance any more
        --- stderr
        dry run: rebalance. Nothing is changed
        --- exit 0
    "#]]
    .assert_eq(&User::of(&server.url).run(&["nodes", "rebalance", "--dry-run"]).all());
}

#[test]
fn a_rebalance_is_followed_to_its_end_and_nothing_to_improve_is_no_failure() {
    let moves = "1 instance has moved; on its way: d4e5f6 of shop to node-2";
    let server = rebalances([
        rebalance(RebalanceState::Running, true, "nothing has moved; on its way: a1b2c3 of shop to node-2"),
        rebalance(RebalanceState::Running, false, moves),
        rebalance(RebalanceState::Ended, false, "2 instances have moved: no move improves the balance any more"),
    ]);
    let said = User::of(&server.url).run(&["nodes", "rebalance"]);
    assert_eq!(said.code, 0, "{}", said.all());
    assert!(said.all().contains(moves), "{}", said.all());
    assert_eq!(server.asked(), ["POST /v1/rebalance", "GET /v1/rebalance", "GET /v1/rebalance"]);
    let nowhere = "nothing has moved: node-1 is the only node, so there is nowhere to move";
    let server = rebalances([rebalance(RebalanceState::Ended, true, nowhere)]);
    expect![[r#"
        rebalanced  nothing has moved: node-1 is the only node, so there is nowhere to move
        --- stderr
        --- exit 0
    "#]]
    .assert_eq(&User::of(&server.url).run(&["nodes", "rebalance"]).all());
}

#[test]
fn a_rebalance_that_goes_on_already_is_said_and_one_that_others_cancel_ends_the_wait() {
    let server = rebalances([
        rebalance(RebalanceState::Running, false, "nothing has moved"),
        rebalance(RebalanceState::Cancelled, false, "nothing has moved; cancelled by bob"),
    ]);
    expect![[r#"
        --- stderr
        error: the rebalance was cancelled
          why:  nothing has moved; cancelled by bob
        --- exit 5
    "#]]
    .assert_eq(&User::of(&server.url).run(&["-q", "nodes", "rebalance"]).all());
    let server = rebalances([rebalance(RebalanceState::Running, false, "nothing has moved")]);
    expect![[r#"
        rebalance  nothing has moved
        --- stderr
        a rebalance goes on already, asked for by ann
        --- exit 0
    "#]]
    .assert_eq(&User::of(&server.url).run(&["nodes", "rebalance", "--no-wait"]).all());
    let server = rebalances([rebalance(RebalanceState::Cancelled, false, "nothing has moved; cancelled by ann")]);
    expect![[r#"
        cancelled  nothing has moved; cancelled by ann
        --- stderr
        --- exit 0
    "#]]
    .assert_eq(&User::of(&server.url).run(&["nodes", "rebalance", "--cancel"]).all());
    assert_eq!(server.asked(), ["POST /v1/rebalance/cancel"]);
}
