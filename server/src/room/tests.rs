use dinp_common::deploy::Strategy;
use dinp_common::node::NodeStatus;
use dinp_common::placement::{Placement, Requirement};
use dinp_common::size::MiB;
use expect_test::{Expect, expect};

use super::{Demand, Needs, check, warnings};
use crate::explain::fixtures::{Scene, name};

fn refused(scene: &Scene, app: &str, demand: Demand, expected: Expect) {
    let problem = check(&scene.0, &name(app), demand).expect_err("refused");
    expected.assert_eq(&format!("{}: {}\ntry: {}\n", problem.code, problem.detail, problem.suggestion.unwrap_or_default()));
}

fn demand(instances: u32, memory: u64, replace: Option<Strategy>) -> Demand {
    Demand { instances, memory: MiB(memory), replace }
}

#[test]
fn more_than_any_node_has_is_refused_with_the_numbers() {
    refused(
        &Scene::new(1).serving("aaa111", 3),
        "hello",
        demand(1, 524_288, None),
        expect![[r#"
            no_room: 512GiB for one instance is more than any node has: n1 has 768MiB free of 1GiB
            try: ask for 1GiB or less, or add a node with more memory
        "#]],
    );
}

#[test]
fn more_instances_than_fit_are_refused_with_the_number_that_do() {
    refused(
        &Scene::new(1).serving("aaa111", 3),
        "other",
        demand(4, 256, None),
        expect![[r#"
            no_room: 4 instances of other with 256MiB each do not fit; there is room for 3: n1 has 768MiB free of 1GiB
            try: ask for 3 instances or fewer, or give each less memory, or add a node
        "#]],
    );
    assert_eq!(check(&Scene::new(1).serving("aaa111", 3).0, &name("hello"), demand(4, 256, None)), Ok(()));
}

#[test]
fn no_room_beside_the_first_offers_recreate_and_says_what_gap_it_makes() {
    let scene = Scene::new(1).serving("aaa111", 3);
    refused(
        &scene,
        "hello",
        demand(1, 900, Some(Strategy::Rolling)),
        expect![[r#"
            no_room: a new instance of hello (900MiB) does not fit beside the running one, and a rolling deploy starts the new one first: n1 has 768MiB free of 1GiB
            try: give it 768MiB or less, add a node, or use --strategy recreate: it stops the old instance first, so hello answers nothing from then until the new one is healthy
        "#]],
    );
    assert_eq!(check(&scene.0, &name("hello"), demand(1, 900, Some(Strategy::Recreate))), Ok(()));
    assert_eq!(check(&scene.0, &name("new"), demand(1, 700, Some(Strategy::Rolling))), Ok(()), "nothing runs beside it");
}

/// A scene of `n` nodes like the one there is.
fn of_nodes(n: u32) -> Scene {
    let mut scene = Scene::new(1).serving("aaa111", 3);
    let seen = scene.0.nodes.values().next().expect("a node").clone();
    for at in 2..=n {
        let name = dinp_common::name::NodeName::parse(&format!("n{at}")).expect("a name");
        scene.0.nodes.insert(name, seen.clone());
    }
    scene
}

fn warned(scene: &Scene, instances: u32, memory: u64, placement: Placement, expected: Expect) {
    let needs = Needs { instances, memory: MiB(memory), cpu: None, placement: &placement };
    expected.assert_eq(&(warnings(&scene.0, &needs).join("\n") + "\n"));
}

#[test]
fn what_no_node_of_several_can_take_is_accepted_with_a_warning() {
    let scene = of_nodes(3);
    assert_eq!(check(&scene.0, &name("other"), demand(1, 524_288, None)), Ok(()), "a larger node may join");
    let requiring = |text: &str| Placement::requiring([Requirement::parse(text).expect("reads")]).expect("possible");
    let warned = |instances, memory, placement, expected| warned(&scene, instances, memory, placement, expected);
    warned(
        1,
        256,
        requiring("disk=ssd"),
        expect![[r#"
        no node has label disk=ssd; nothing is placed until one has
    "#]],
    );
    warned(
        1,
        256,
        requiring("zone in x,y"),
        expect![[r#"
        no node stands in zone x or y; nothing is placed until one does
    "#]],
    );
    warned(
        1,
        524_288,
        Placement::default(),
        expect![[r#"
        512GiB for one instance is more than any node it may stand on has: the largest has 1GiB; nothing is placed until a larger one joins
    "#]],
    );
    warned(
        5,
        256,
        Placement { per_node: Some(1), ..Placement::default() },
        expect![[r#"
        at most 1 may stand on a node, and it may stand on 3 of them: 2 of 5 instances wait until more nodes join
    "#]],
    );
    let placement = Placement { per_node: Some(1), ..Placement::default() };
    let fits = Needs { instances: 3, memory: MiB(256), cpu: None, placement: &placement };
    assert_eq!(warnings(&scene.0, &fits), Vec::<String>::new());
}

#[test]
fn where_nothing_is_known_nothing_is_refused() {
    let scene = Scene::new(1).node(NodeStatus::Lost, "silent");
    assert_eq!(check(&scene.0, &name("hello"), demand(1, 524_288, None)), Ok(()));
}
