//! Why no node takes an instance, group of nodes by group of nodes.

use std::collections::BTreeMap;

use dinp_common::limits;
use dinp_common::name::NodeName;
use dinp_common::placement::Placement;
use dinp_common::size::{Cpu, MiB};

use super::filter::{in_zone, missing_label};
use super::room::{Closed, Room, Use};
use super::spread::Limit;

/// Names of a group that are written out; a larger group is counted.
const NAMED: usize = 3;

/// What one node says no to. Nodes that say the same are one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal<'a> {
    Closed(Closed<'a>),
    Label(&'a str, &'a str),
    Zone,
    Unsteady,
    Limit,
    Memory,
    Cpu,
    Slots,
    Addresses,
}

/// What is asked, for the words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub memory: u32,
    pub cpu: u32,
    pub placement: &'a Placement,
    /// Nodes that come and go will do.
    pub last_resort: bool,
    pub limit: Option<&'a Limit>,
}

/// The first reason against this node; hard rules first, room last.
pub(super) fn refusal<'a>(asked: &Asked<'a>, at: u32, room: &Room<'a>, used: &Use) -> Option<Refusal<'a>> {
    if let Some(closed) = room.closed {
        return Some(Refusal::Closed(closed));
    }
    if let Some((key, value)) = missing_label(asked.placement, room) {
        return Some(Refusal::Label(key, value));
    }
    if !in_zone(asked.placement, room) {
        return Some(Refusal::Zone);
    }
    if room.unsteady.is_some() && !asked.last_resort {
        return Some(Refusal::Unsteady);
    }
    if asked.limit.is_some_and(|limit| limit.is_full(at)) {
        return Some(Refusal::Limit);
    }
    if used.free() < asked.memory {
        return Some(Refusal::Memory);
    }
    if used.cpu_free() < asked.cpu {
        return Some(Refusal::Cpu);
    }
    if used.total >= limits::INSTANCES_PER_NODE {
        return Some(Refusal::Slots);
    }
    (used.total >= used.slots).then_some(Refusal::Addresses)
}

/// All nodes in groups, the largest first, each in words.
pub(super) fn explain<'a>(asked: &Asked<'a>, nodes: impl Iterator<Item = (u32, &'a Room<'a>, &'a Use)>) -> String {
    let mut groups: BTreeMap<Refusal<'a>, Vec<(&Room<'a>, &Use)>> = BTreeMap::new();
    for (at, room, used) in nodes {
        if let Some(refusal) = refusal(asked, at, room, used) {
            groups.entry(refusal).or_default().push((room, used));
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, nodes)| std::cmp::Reverse(nodes.len()));
    groups.iter().map(|(refusal, nodes)| group(asked, *refusal, nodes)).collect::<Vec<_>>().join("; ")
}

fn group(asked: &Asked<'_>, refusal: Refusal<'_>, nodes: &[(&Room<'_>, &Use)]) -> String {
    match nodes {
        [(room, used)] => format!("{}: {}", room.name, one(asked, refusal, room, used)),
        _ => {
            let names: Vec<&str> = nodes.iter().take(NAMED).map(|(room, _)| NodeName::as_str(room.name)).collect();
            let more = if nodes.len() > NAMED { ", ..." } else { "" };
            format!("{} nodes {} ({}{more})", nodes.len(), several(asked, refusal, nodes), names.join(", "))
        }
    }
}

/// What is against a single node.
fn one(asked: &Asked<'_>, refusal: Refusal<'_>, room: &Room<'_>, used: &Use) -> String {
    let memory = |amount: u32| MiB(amount.into());
    match refusal {
        Refusal::Closed(Closed::Draining) => "it is being drained".to_owned(),
        Refusal::Closed(Closed::Cordoned) => "it is cordoned".to_owned(),
        Refusal::Closed(Closed::DockerSilent(why)) => format!("its Docker does not answer: {why}"),
        Refusal::Closed(Closed::NotReported) => "it has not reported yet".to_owned(),
        Refusal::Closed(Closed::Suspect) => "it has not been heard for a few seconds".to_owned(),
        Refusal::Closed(Closed::Lost) => "it is lost".to_owned(),
        Refusal::Label(key, value) => format!("it lacks label {key}={value}"),
        Refusal::Zone => format!("it stands in zone {}, not in {}", named(room.zone()), zones(asked.placement)),
        Refusal::Unsteady => room.unsteady.map_or_else(String::new, |unsteady| unsteady.words()),
        Refusal::Limit => format!("it holds {}, the most of this app a node may", most(asked)),
        Refusal::Memory => {
            format!("needs {} and has {} free of {}", memory(asked.memory), memory(used.free()), memory(used.capacity))
        }
        Refusal::Cpu => format!("needs {} CPU and has {} free of {}", Cpu(asked.cpu), Cpu(used.cpu_free()), Cpu(used.cpu)),
        Refusal::Slots => format!("it holds {} instances, the most a node can", used.total),
        Refusal::Addresses => {
            format!("it has no free address: {} can be used now, and all are taken", room.addresses())
        }
    }
}

/// What is against several.
fn several(asked: &Asked<'_>, refusal: Refusal<'_>, nodes: &[(&Room<'_>, &Use)]) -> String {
    match refusal {
        Refusal::Closed(Closed::Draining) => "are being drained".to_owned(),
        Refusal::Closed(Closed::Cordoned) => "are cordoned".to_owned(),
        Refusal::Closed(Closed::DockerSilent(why)) => format!("have a Docker that does not answer: {why}"),
        Refusal::Closed(Closed::NotReported) => "have not reported yet".to_owned(),
        Refusal::Closed(Closed::Suspect) => "have not been heard for a few seconds".to_owned(),
        Refusal::Closed(Closed::Lost) => "are lost".to_owned(),
        Refusal::Label(key, value) => format!("lack label {key}={value}"),
        Refusal::Zone => format!("stand in other zones than {}", zones(asked.placement)),
        Refusal::Unsteady => {
            let soonest = nodes.iter().filter_map(|(room, _)| room.unsteady).map(|unsteady| unsteady.left_ms).min();
            format!("came back again and again; the first takes new instances in {} s", soonest.unwrap_or(0).div_ceil(1000))
        }
        Refusal::Limit => format!("hold {} each, the most of this app a node may", most(asked)),
        Refusal::Memory => {
            let best = nodes.iter().map(|(_, used)| (used.free(), used.capacity)).max().unwrap_or((0, 0));
            let (free, capacity) = (MiB(best.0.into()), MiB(best.1.into()));
            format!("have less than {} free, at most {free} of {capacity}", MiB(asked.memory.into()))
        }
        Refusal::Cpu => {
            let best = nodes.iter().map(|(_, used)| (used.cpu_free(), used.cpu)).max().unwrap_or((0, 0));
            format!("have less than {} CPU free, at most {} of {}", Cpu(asked.cpu), Cpu(best.0), Cpu(best.1))
        }
        Refusal::Slots => format!("hold {} instances, the most a node can", limits::INSTANCES_PER_NODE),
        Refusal::Addresses => "have no free address".to_owned(),
    }
}

fn most(asked: &Asked<'_>) -> u32 {
    asked.limit.map_or(0, |limit| limit.most)
}

fn zones(placement: &Placement) -> String {
    placement.zones.iter().cloned().collect::<Vec<_>>().join(", ")
}

pub(super) fn named(zone: &str) -> &str {
    if zone.is_empty() { "(none)" } else { zone }
}
