//! Which move helps most, if one clearly helps.

use std::cmp::Reverse;

use dinp_common::app::{App, Backoff};
use dinp_common::instance::{Instance, InstanceId};
use dinp_common::name::NodeName;
use dinp_common::rebalance::Rebalance;

use super::loads::{Loads, WHOLE};
use crate::bucket::Bucket;
use crate::placement::{Ask, Nodes, Shift};
use crate::plan::{Member, Pass};
use crate::policy::Policy;
use crate::rollout::place;

/// Nodes that could take an instance and are compared, the emptiest ones: far down the list none is better.
const COMPARED_MOST: usize = 32;

/// One instance, and where it would stand better.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub instance: &'a Instance,
    pub ask: Ask,
    pub from: &'a NodeName,
    /// The node's rank by name.
    pub to: u32,
    /// A clause: what is better there.
    pub why: String,
}

impl Found<'_> {
    pub fn to_name(&self, pass: &Pass<'_>) -> NodeName {
        pass.standings.nodes[self.to as usize].name.clone()
    }
}

/// How much a move helps. Lower is better; compared field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Gain {
    shift: Shift,
    /// By how much the fuller one of the two nodes is less full after it.
    relief: Reverse<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    gain: Gain,
    instance: &'a Instance,
    ask: Ask,
    from: u32,
    to: u32,
}

/// The move that helps most, onto one of the nodes that will do; `None` if none clearly helps.
pub(super) fn best<'a>(pass: &mut Pass<'a>, state: &Rebalance, will_do: impl Fn(u32) -> bool) -> Option<Found<'a>> {
    let (loads, policy) = (Loads::new(pass, state), pass.input.policy);
    let nodes = place::nodes(pass);
    let mut order: Vec<u32> = (0..nodes.count()).filter(|node| nodes.takes_part(*node)).collect();
    order.sort_by_key(|node| (loads.fill(*node, nodes.capacity(*node), 0), *node));
    if order.len() < 2 {
        return None;
    }
    let mut best: Option<Candidate<'a>> = None;
    let desired = pass.input.desired;
    for app in desired.apps.iter().filter(|app| is_free(state, app)) {
        let Ok(members) = at_rest(pass, app) else { continue };
        let Some(release) = app.live else { continue };
        let Some(ask) = place::ask(pass, app, release, app.generation) else { continue };
        let scale = Scale { nodes: place::nodes(pass), loads: &loads, order: &order, policy };
        for (at, (instance, from)) in members.iter().enumerate() {
            // Those of one node differ in nothing.
            if members[..at].iter().any(|(_, other)| other == from) {
                continue;
            }
            let found = scale.weigh(ask, instance, *from, &will_do);
            let rank = |candidate: &Candidate<'a>| -> (Gain, &'a InstanceId) { (candidate.gain, &candidate.instance.id) };
            best = best.into_iter().chain(found).min_by(|a, b| rank(a).cmp(&rank(b)));
        }
    }
    let found = best?;
    let why = words(place::nodes(pass), &loads, &found);
    let Candidate { instance, ask, to, .. } = found;
    Some(Found { instance, ask, from: &instance.node, to, why })
}

/// Nothing of it moves already, and no move of it has failed.
fn is_free(state: &Rebalance, app: &App) -> bool {
    state.moves.iter().all(|moving| moving.app != app.name)
}

/// Its instances with their nodes, or why none of them is to be touched.
pub(super) fn at_rest<'a>(pass: &Pass<'a>, app: &App) -> Result<Vec<(&'a Instance, u32)>, &'static str> {
    let desired = pass.input.desired;
    if desired.refused.contains_key(app.name.as_str()) {
        return Err("a record of it is not understood");
    }
    if let Some(deploy) = desired.deploy(&app.name) {
        return Err(if deploy.paused.is_some() { "its deploy is paused" } else { "a deploy of it is under way" });
    }
    if app.backoff != Backoff::default() {
        return Err("it has crashed of late");
    }
    let drains = |instance: &Instance| pass.draining.contains(&instance.node);
    if !pass.draining.is_empty() && pass.standings.instances_of(&app.name).any(drains) {
        return Err("it leaves a node that is being drained");
    }
    let is_live = |instance: &Instance| (Some(instance.release), instance.generation) == (app.live, app.generation);
    if !pass.standings.is_well(&app.name) {
        // What is gone and only waits for a router to be forgotten is in nobody's way.
        let members = pass.members(&app.name);
        let here = || members.iter().filter(|member| member.bucket != Bucket::Stopping { gone: true });
        let is_well = |member: &Member<'_>| member.bucket == Bucket::Ready && is_live(member.instance);
        if app.stopped || app.deleted || here().count() != app.instances as usize || !here().all(is_well) {
            return Err("not all of it is well");
        }
    }
    let standing = pass.standings.of(&app.name).filter(|standing| !standing.is_gone());
    Ok(standing.map(|standing| (standing.instance, standing.node)).collect())
}

/// What candidates are weighed on.
struct Scale<'s, 'a> {
    nodes: &'s Nodes<'a>,
    loads: &'s Loads,
    /// Nodes that take part, the emptiest first.
    order: &'s [u32],
    policy: &'s Policy,
}

impl Scale<'_, '_> {
    fn weigh<'i>(&self, ask: Ask, instance: &'i Instance, from: u32, will_do: impl Fn(u32) -> bool) -> Option<Candidate<'i>> {
        let Self { nodes, loads, order, .. } = self;
        if !nodes.takes_part(from) {
            return None;
        }
        let memory = i64::from(nodes.memory(ask));
        let fill = |node: u32, more: i64| loads.fill(node, nodes.capacity(node), more);
        let full = fill(from, 0);
        let mut compared = 0;
        let mut best: Option<(Gain, u32)> = None;
        // Beyond a node that is as full, all are as full.
        for to in order.iter().copied().take_while(|to| fill(*to, 0) < full).filter(|to| *to != from && will_do(*to)) {
            let Some(shift) = nodes.shift(ask, from, to) else { continue };
            let after = fill(to, memory);
            if self.helps(shift, full, after) {
                let relief = Reverse(full.saturating_sub(after.max(fill(from, -memory))));
                best = best.into_iter().chain([(Gain { shift, relief }, to)]).min();
            }
            compared += 1;
            if compared == COMPARED_MOST {
                break;
            }
        }
        best.map(|(gain, to)| Candidate { gain, instance, ask, from, to })
    }

    /// A move never leaves its app less evenly spread, nor its new node fuller than the old one was. Where the app is
    /// spread as before, the new node must be less full by a clear part.
    fn helps(&self, shift: Shift, full: u64, after: u64) -> bool {
        match shift.cmp(&Shift::EVEN) {
            std::cmp::Ordering::Less => after <= full,
            std::cmp::Ordering::Equal => after * 100 <= full * u64::from(100 - self.policy.rebalance_gain_percent),
            std::cmp::Ordering::Greater => false,
        }
    }
}

/// What is better there, as a clause.
fn words(nodes: &Nodes<'_>, loads: &Loads, found: &Candidate<'_>) -> String {
    let Candidate { gain, ask, from, to, .. } = *found;
    let ((on_from, in_from), (on_to, in_to)) = (nodes.held(ask, from), nodes.held(ask, to));
    let count = |n: u32| if n == 0 { "none".to_owned() } else { n.to_string() };
    if gain.shift.zones < 0 {
        return format!("zone {} holds {in_from} of it, zone {} {}", nodes.zone(from), nodes.zone(to), count(in_to));
    }
    let (old, new) = (nodes.name(from), nodes.name(to));
    if gain.shift.nodes < 0 {
        return format!("{old} holds {on_from} of it, {new} {}", count(on_to));
    }
    let percent = |node, more| loads.fill(node, nodes.capacity(node), more) * 100 / WHOLE;
    format!("{old} is {}% full, {new} {}% with it", percent(from, 0), percent(to, i64::from(nodes.memory(ask))))
}
