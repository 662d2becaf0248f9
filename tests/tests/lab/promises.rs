//! What the simulator judges at every step, on a real engine: what is stored, what runs, and what is routed.

use std::collections::HashMap;

use dinp_common::name::NodeName;
use dinp_common::plan::Desired;
use dinp_common::route::RouteUpdate;
use dinp_planner::agent::container::Listed;
use dinp_planner::agent::{Container, ContainerState, ours};
use dinp_planner::promises;
use dinp_store::{Store, StoreUrl};
use dinp_tests::lab::Lab;

const LABELS: [&str; 5] = ["dinp.cluster", "dinp.node", "dinp.app", "dinp.instance", "dinp.release"];

/// At any moment, also with nothing of ours alive: no container runs that is not stored as what it is.
pub async fn hold(lab: &Lab) {
    let (desired, _) = look(lab).await;
    assert!(!desired.apps.is_empty(), "nothing is stored that could be judged");
}

/// While nothing is under way the router's own table follows from what is stored, too.
pub async fn hold_at_rest(lab: &Lab) {
    let (desired, containers) = look(lab).await;
    assert_eq!(containers, desired.instances.len(), "every instance has its container, and nothing else has");
    let path = lab.state().join("router/table.json");
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let RouteUpdate::Full { routes, .. } = serde_json::from_slice(&text).expect("a table") else { panic!("a whole table") };
    assert!(routes.iter().any(|route| !route.endpoints.is_empty()), "{routes:?}");
    if let Err(breach) = promises::of_routes(&desired, &routes) {
        panic!("{breach}\n{routes:#?}\n{desired:#?}");
    }
}

/// What is stored, and how many containers there are, judged by it.
async fn look(lab: &Lab) -> (Desired, usize) {
    let labels = LABELS.map(|label| format!("{{{{.Label {label:?}}}}}")).join(" ");
    let format = format!("{{{{.ID}}}} {{{{.Names}}}} {{{{.State}}}} {labels}");
    let listed = lab.docker.lines(&["ps", "-a", "--no-trunc", "--filter", "label=dinp.instance", "--format", &format]);
    let store = Store::open(&StoreUrl::Sqlite(lab.state().join("state.db"))).await.expect("the store opens");
    let desired = store.desired_load().await.expect("what is stored");
    let found: Vec<(NodeName, Container)> = listed.iter().filter_map(|line| read(line, &store, &desired)).collect();
    if let Err(breach) = promises::of_containers(&desired, found.iter().map(|(node, container)| (node, container))) {
        panic!("{breach}\n{listed:#?}\n{:#?}", desired.instances);
    }
    (desired, found.len())
}

/// A container of this installation; others share its engine.
fn read(line: &str, store: &Store, desired: &Desired) -> Option<(NodeName, Container)> {
    let mut words = line.split(' ');
    let (id, name, state) = (words.next()?, words.next()?, words.next()?);
    let labels: HashMap<String, String> = LABELS.iter().map(|label| (*label).to_owned()).zip(words.map(str::to_owned)).collect();
    let names = [format!("/{name}")];
    let state = if state == "running" { ContainerState::Running } else { ContainerState::Exited };
    let listed = Listed { id, names: &names, labels: &labels };
    let of = |node: &NodeName| ours(&store.cluster(), node, listed, state, None).map(|container| (node.clone(), container));
    desired.nodes.iter().find_map(|node| of(&node.name))
}
