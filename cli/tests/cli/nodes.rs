//! What is used for what, and what leaves a node.

use std::time::{Duration, Instant};

use dinp_common::api::{DrainState, DrainView};
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
    expect![[r#""#]].assert_eq(&error);
}

#[test]
fn a_drain_is_waited_for_as_long_as_people_say() {
    let server = Server::start(drain(Some("no other node can take what is left on node-1: shop: node-2: it is lost")));
    let said = User::of(&server.url).run(&["nodes", "drain", "node-1", "--timeout", "6s"]);
    assert_eq!(said.code, 6, "{}", said.all());
    assert!(said.all().contains("node-1 is not drained after 6 s"), "{}", said.all());
}

#[test]
fn a_rehearsed_drain_prints_what_would_move_and_what_would_stay() {
    let server = Server::start(drain(None));
    let said = User::of(&server.url).run(&["nodes", "drain", "node-1", "--dry-run"]);
    expect![[r#""#]].assert_eq(&said.all());
    assert_eq!(server.asked(), Vec::<String>::new(), "nothing was asked for");
}

#[test]
fn a_node_is_shown_with_what_it_has_and_what_stands_on_it() {
    let server = Server::start(drain(None));
    expect![[r#""#]].assert_eq(&User::of(&server.url).run(&["nodes", "show", "node-1"]).all());
}
