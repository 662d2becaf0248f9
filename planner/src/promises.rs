//! Promises that can be judged by what is decided, routed or found alone: each breach is a bug, whatever went wrong around.
//!
//! A leader's debug builds check every pass by these, the simulator every commit and table, and the tests on real engines
//! what is stored and what runs. What needs the whole world to be judged is the simulator's own.

use std::collections::{BTreeMap, BTreeSet};

use dinp_common::deploy::{DeployState, Failure};
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::name::NodeName;
use dinp_common::plan::{Change, Desired};
use dinp_common::route::Route;

use crate::agent::container::{Container, ContainerState};

/// Which promise of the design is broken, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("promise {promise} is broken: {what}")]
pub struct Breach {
    pub promise: &'static str,
    pub what: String,
}

fn breach<T>(promise: &'static str, what: String) -> Result<T, Breach> {
    Err(Breach { promise, what })
}

/// Of one pass, before anything of it is stored; `desired` is what it was decided on.
///
/// # Errors
/// The first breach.
pub fn of_changes(desired: &Desired, changes: &[Change]) -> Result<(), Breach> {
    let mut decided = BTreeSet::new();
    for change in changes {
        let id = match change {
            Change::Place { instance, .. } => &instance.id,
            Change::Move { instance, .. } | Change::Forget { instance } => instance,
            _ => continue,
        };
        if !decided.insert(id) {
            return breach("9 (one decision maker)", format!("two decisions about {id} at once"));
        }
    }
    for change in changes {
        of_change(desired, change)?;
    }
    Ok(())
}

fn of_change(desired: &Desired, change: &Change) -> Result<(), Breach> {
    if is_mute(change) {
        return breach("14 (every decision carries its reason)", format!("{change:?}"));
    }
    match change {
        Change::Place { instance: new, .. } => {
            if recorded(desired, &new.id).is_some() {
                return breach("5 (an instance is placed once)", format!("{} is recorded, and is placed", new.id));
            }
            may_stand(desired, new)?;
            goes_on(desired, new)
        }
        Change::Move { instance, want, .. } => match recorded(desired, instance) {
            Some(before) if before.want < *want => Ok(()),
            before => {
                let before = before.map(|before| before.want);
                breach("5 (states only move forward)", format!("{instance} goes from {before:?} to {want:?}"))
            }
        },
        _ => Ok(()),
    }
}

fn is_mute(change: &Change) -> bool {
    match change {
        Change::Place { instance, .. } => instance.reason.is_empty(),
        Change::Move { reason, .. } => reason.is_empty(),
        Change::Finish { state: DeployState::Failed, failure, .. } => {
            let says = |failure: &Failure| [&failure.why, &failure.now, &failure.fix].iter().all(|text| !text.is_empty());
            !failure.as_ref().is_some_and(says)
        }
        Change::Note(note) => note.text.is_empty(),
        _ => false,
    }
}

fn may_stand(desired: &Desired, new: &Instance) -> Result<(), Breach> {
    let row = desired.nodes.iter().find(|node| node.name == new.node);
    if row.is_none_or(|node| node.cordoned) {
        let what = format!("{} of {} is placed on {}, which is {row:?}", new.id, new.app, new.node);
        return breach("placement (a cordoned node takes nothing new)", what);
    }
    Ok(())
}

/// Of a deploy that people hold back, nothing more is started.
fn goes_on(desired: &Desired, new: &Instance) -> Result<(), Breach> {
    let Some(deploy) = desired.deploy(&new.app).filter(|deploy| deploy.paused.is_some()) else { return Ok(()) };
    let live = desired.app(&new.app).is_some_and(|app| (app.live, app.generation) == (Some(new.release), new.generation));
    if !live && deploy.to == Some(new.release) && deploy.generation == new.generation {
        let what = format!("{} of {} {} is started while {} is paused", new.id, new.app, new.release, deploy.number);
        return breach("2 (a paused deploy goes no further)", what);
    }
    Ok(())
}

/// Of routes that are about to be published, or that a router has when nothing is under way; `desired` is what is stored.
///
/// # Errors
/// The first breach.
pub fn of_routes<'a>(desired: &Desired, routes: impl IntoIterator<Item = &'a Route>) -> Result<(), Breach> {
    for route in routes {
        if desired.app(&route.app).is_none_or(|app| app.deleted) {
            let what = format!("{} is routed, and nobody wants it", route.app);
            return breach("8 (routes follow from what is stored)", what);
        }
        for endpoint in &route.endpoints {
            let instance = recorded(desired, &endpoint.instance);
            let Some(instance) = instance.filter(|instance| instance.proven && instance.want == Want::Run) else {
                let what = format!("{} of {} is routed and is not to serve", endpoint.instance, route.app);
                return breach("8 (routes follow from what is stored)", what);
            };
            if instance.app != route.app {
                let what = format!("{} of {} is routed for {}", instance.id, instance.app, route.app);
                return breach("7 (no request reaches the wrong app)", what);
            }
        }
    }
    Ok(())
}

/// Of all containers of a cluster, at any moment; `desired` was read after them.
///
/// # Errors
/// The first breach.
pub fn of_containers<'a>(
    desired: &Desired,
    found: impl IntoIterator<Item = (&'a NodeName, &'a Container)>,
) -> Result<(), Breach> {
    let mut nodes: BTreeMap<&InstanceId, &NodeName> = BTreeMap::new();
    for (node, container) in found {
        let id = &container.instance;
        if let Some(other) = nodes.insert(id, node) {
            return breach("5 (an action is idempotent)", format!("{id} has a container on {other} and one on {node}"));
        }
        let Some(instance) = recorded(desired, id) else {
            if container.state == ContainerState::Running {
                let what = format!("{} runs on {node}, and nothing of it is stored", container.name());
                return breach("5 (stored before acted on)", what);
            }
            continue;
        };
        if (&instance.app, instance.release, &instance.node) != (&container.app, container.release, node) {
            let what = format!("{} of {} on {node} was stored as {instance:?}", container.name(), container.release);
            return breach("5 (stored before acted on)", what);
        }
    }
    Ok(())
}

fn recorded<'a>(desired: &'a Desired, id: &InstanceId) -> Option<&'a Instance> {
    desired.instances.iter().find(|instance| instance.id == *id)
}
