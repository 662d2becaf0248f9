//! Whether what people ask for can ever fit, decided before anything is built, with the numbers and the choices.
//!
//! Only what one machine can never hold is refused: there is nothing to wait for. Among several, nodes come and go, and
//! what fits none of them waits with a warning ([`warnings`]). What waits for a drain to end is for the planner, within
//! the deploy's deadline.

mod warnings;

use dinp_common::deploy::Strategy;
use dinp_common::instance::{Instance, Want};
use dinp_common::name::AppName;
use dinp_common::node::NodeStatus;
use dinp_common::problem::Problem;
use dinp_common::size::MiB;

use crate::cluster::Snapshot;

pub use warnings::{Needs, warnings};

/// What an app is about to need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    pub instances: u32,
    pub memory: MiB,
    /// How running instances are replaced; `None` if they stay.
    pub replace: Option<Strategy>,
}

#[derive(Debug)]
struct Room<'a> {
    node: &'a str,
    capacity: MiB,
    /// Reserved by other apps.
    others: u64,
    /// Reserved by instances of this app's live release.
    own: u64,
}

impl Room<'_> {
    fn free(&self) -> MiB {
        MiB(self.capacity.0.saturating_sub(self.others + self.own))
    }

    fn without_own(&self) -> MiB {
        MiB(self.capacity.0.saturating_sub(self.others))
    }

    fn describe(&self) -> String {
        format!("{} has {} free of {}", self.node, self.free(), self.capacity)
    }
}

/// Refuses what the only node can never hold, and a rolling change for which no node has room. Without a node that has reported, nothing is known
/// and nothing is refused: the deploy waits and says for what.
pub fn check(snapshot: &Snapshot, app: &AppName, demand: Demand) -> Result<(), Box<Problem>> {
    let rooms = rooms(snapshot, app);
    if rooms.is_empty() || demand.instances == 0 {
        return Ok(());
    }
    if let [_] = rooms.as_slice() {
        larger_than_any_node(&rooms, demand)?;
        more_than_all_nodes(&rooms, app, demand)?;
    } else if rooms.iter().all(|room| room.capacity < demand.memory) {
        return Ok(());
    }
    no_second_beside_the_first(&rooms, app, demand)
}

fn rooms<'a>(snapshot: &'a Snapshot, app: &AppName) -> Vec<Room<'a>> {
    let open = snapshot.nodes.iter().filter(|(_, node)| match node.status {
        NodeStatus::Ready | NodeStatus::Suspect => true,
        NodeStatus::Lost | NodeStatus::Draining | NodeStatus::Cordoned => false,
    });
    let live = snapshot.desired.apps.iter().find(|known| known.name == *app).and_then(|known| known.live);
    open.filter_map(|(name, node)| {
        let facts = node.facts.as_ref()?;
        let on_node = || snapshot.desired.instances.iter().filter(|instance| instance.node == *name);
        let reserved = |instance: &Instance| memory(snapshot, instance).0;
        let others = on_node().filter(|instance| instance.app != *app).map(reserved).sum();
        let stays = |instance: &&Instance| instance.app == *app && instance.want == Want::Run && Some(instance.release) == live;
        let own = on_node().filter(stays).map(reserved).sum();
        Some(Room { node: name.as_str(), capacity: facts.capacity.memory, others, own })
    })
    .collect()
}

/// What an instance reserves.
pub fn memory(snapshot: &Snapshot, instance: &Instance) -> MiB {
    let release = snapshot.desired.releases.get(&(instance.app.clone(), instance.release));
    release.map_or(MiB(0), |release| release.spec.memory)
}

fn numbers(rooms: &[Room<'_>]) -> String {
    rooms.iter().map(Room::describe).collect::<Vec<_>>().join("; ")
}

fn larger_than_any_node(rooms: &[Room<'_>], demand: Demand) -> Result<(), Box<Problem>> {
    let most = rooms.iter().map(|room| room.capacity).max().unwrap_or(MiB(0));
    if demand.memory <= most {
        return Ok(());
    }
    let detail = format!("{} for one instance is more than any node has: {}", demand.memory, numbers(rooms));
    Err(Box::new(
        Problem::new(422, "no_room", detail.clone())
            .suggest(format!("ask for {most} or less, or add a node with more memory"))
            .field("/settings/memory", detail),
    ))
}

fn more_than_all_nodes(rooms: &[Room<'_>], app: &AppName, demand: Demand) -> Result<(), Box<Problem>> {
    let fits: u64 = rooms.iter().map(|room| room.without_own().0 / demand.memory.0.max(1)).sum();
    if u64::from(demand.instances) <= fits {
        return Ok(());
    }
    let detail = format!(
        "{} of {app} with {} each do not fit; there is room for {fits}: {}",
        instances(demand.instances),
        demand.memory,
        numbers(rooms)
    );
    let fewer = if fits > 0 { format!("ask for {} or fewer, or ", instances(fits as u32)) } else { String::new() };
    let problem = Problem::new(422, "no_room", detail).suggest(format!("{fewer}give each less memory, or add a node"));
    Err(Box::new(problem))
}

fn no_second_beside_the_first(rooms: &[Room<'_>], app: &AppName, demand: Demand) -> Result<(), Box<Problem>> {
    let runs = rooms.iter().any(|room| room.own > 0);
    if demand.replace != Some(Strategy::Rolling) || !runs || rooms.iter().any(|room| room.free() >= demand.memory) {
        return Ok(());
    }
    let most = rooms.iter().map(Room::free).max().unwrap_or(MiB(0));
    let detail = format!(
        "a new instance of {app} ({}) does not fit beside the running one, and a rolling deploy starts the new one first: {}",
        demand.memory,
        numbers(rooms)
    );
    let less = if most.0 >= dinp_common::limits::MEMORY_MIN_MIB { format!("give it {most} or less, ") } else { String::new() };
    let choices = format!(
        "{less}add a node, or use --strategy recreate: it stops the old instance first, so {app} answers nothing from then \
         until the new one is healthy"
    );
    Err(Box::new(Problem::new(422, "no_room", detail).suggest(choices).now("nothing was changed")))
}

fn instances(n: u32) -> String {
    if n == 1 { "1 instance".to_owned() } else { format!("{n} instances") }
}

#[cfg(test)]
mod tests;
