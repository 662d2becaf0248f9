//! From what is stored and seen to what readers are shown, and what to tell those who watch.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::api::WatchEvent;
use dinp_common::instance::InstanceId;
use dinp_common::name::AppName;
use dinp_common::node::NodeStatus;
use dinp_common::plan::Desired;
use dinp_planner::observed::{Freshness, Observed};
use dinp_planner::plan::Plan;
use dinp_planner::policy::Policy;
use dinp_planner::steadiness::unsteady;
use dinp_store::Store;

use crate::cluster::{Cluster, SeenNode, Snapshot};
use crate::explain;

/// Events announced after one pass; more than that and watchers are told to read the list again.
const EVENTS_AT_ONCE: u32 = 100;

pub(crate) fn leading(
    desired: Desired,
    observed: &Observed,
    policy: &Policy,
    leading_ms: u64,
    plan: Plan,
    routed: BTreeSet<InstanceId>,
) -> Snapshot {
    let nodes = nodes(&desired, observed, policy, leading_ms);
    let instances = instances(observed);
    let Plan { holds, no_room, .. } = plan;
    Snapshot { desired, nodes, instances, holds, no_room, routed, leading: true }
}

pub(crate) fn following(desired: Desired, observed: &Observed, policy: &Policy) -> Snapshot {
    let nodes = nodes(&desired, observed, policy, 0);
    let instances = instances(observed);
    Snapshot { desired, nodes, instances, ..Snapshot::default() }
}

fn instances(observed: &Observed) -> BTreeMap<InstanceId, dinp_common::wire::InstanceReport> {
    observed.nodes.values().flat_map(|node| node.instances.iter()).map(|(id, report)| (id.clone(), report.clone())).collect()
}

fn nodes(
    desired: &Desired,
    observed: &Observed,
    policy: &Policy,
    leading_ms: u64,
) -> BTreeMap<dinp_common::name::NodeName, SeenNode> {
    desired
        .nodes
        .iter()
        .map(|node| {
            let seen = observed.nodes.get(&node.name);
            let docker = seen.map(|seen| &seen.facts.docker);
            let (status, reason) = match (observed.freshness(&node.name, leading_ms, policy), docker) {
                (Freshness::Fresh, Some(Err(why))) => (NodeStatus::Suspect, format!("Docker does not answer: {why}")),
                (Freshness::Fresh, _) => {
                    // Where it is the only one there is nobody to prefer, so it takes new instances at once.
                    let unsteady = seen.filter(|_| desired.nodes.len() > 1).and_then(|seen| unsteady(seen, policy));
                    (NodeStatus::Ready, unsteady.map_or_else(|| "it reports".to_owned(), |unsteady| unsteady.words()))
                }
                (Freshness::Suspect, _) => (NodeStatus::Suspect, "its agent has been silent for a few seconds".to_owned()),
                (Freshness::NotYetSeen, _) => (NodeStatus::Suspect, "its agent has not reported to this server yet".to_owned()),
                (Freshness::Lost, _) => (NodeStatus::Lost, "its agent does not report".to_owned()),
            };
            let facts = seen.map(|seen| seen.facts.clone());
            let orphans = seen.map_or_else(Vec::new, |seen| seen.orphans.clone());
            let status = if status == NodeStatus::Ready { explain::used_as(node) } else { status };
            (node.name.clone(), SeenNode { status, reason, facts, orphans })
        })
        .collect()
}

/// What watchers should read again after `old` became `new`.
pub(crate) fn changed(old: &Snapshot, new: &Snapshot) -> Vec<WatchEvent> {
    let names: BTreeSet<&AppName> = old.desired.apps.iter().chain(&new.desired.apps).map(|app| &app.name).collect();
    let mut events: Vec<WatchEvent> = names
        .iter()
        .filter(|name| about(old, name) != about(new, name))
        .map(|name| WatchEvent::App { app: name.to_string() })
        .collect();
    let listed = |snapshot: &Snapshot| snapshot.desired.apps.iter().map(|app| app.name.clone()).collect::<Vec<_>>();
    let status = |snapshot: &Snapshot| snapshot.nodes.iter().map(|(name, node)| (name.clone(), node.status)).collect::<Vec<_>>();
    if listed(old) != listed(new) || status(old) != status(new) {
        events.push(WatchEvent::Lists);
    }
    events
}

/// Everything a page about one app can show.
fn about<'a>(snapshot: &'a Snapshot, name: &'a AppName) -> impl PartialEq + use<'a> {
    let desired = &snapshot.desired;
    let instances: Vec<_> = desired.instances_of(name).collect();
    let reports: Vec<_> = instances.iter().map(|instance| snapshot.instances.get(&instance.id)).collect();
    let routed: Vec<_> = instances.iter().map(|instance| snapshot.routed.contains(&instance.id)).collect();
    (desired.app(name), desired.deploy(name), instances, reports, routed, snapshot.holds.get(name))
}

/// Tells watchers of new lines in the timeline.
pub(crate) async fn announce_events(store: &Store, cluster: &Cluster, last: &mut Option<u64>) {
    let read = match *last {
        Some(after) => store.event_list(None, None, Some(after), EVENTS_AT_ONCE).await,
        None => store.event_list(None, None, None, 1).await,
    };
    match read {
        Ok(mut events) => {
            events.sort_by_key(|event| event.id);
            let first_look = last.is_none();
            *last = events.last().map(|event| event.id).or(*last).or(Some(0));
            for event in events.into_iter().filter(|_| !first_look) {
                cluster.announce(WatchEvent::Event { event });
            }
        }
        Err(error) => tracing::debug!(%error, "new events cannot be read; the next pass tries again"),
    }
}
