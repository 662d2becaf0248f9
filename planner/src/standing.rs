//! Every instance with its node and what was last said of it, by app: looked up once for all that a pass decides.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::SocketAddr;

use dinp_common::app::App;
use dinp_common::health::Health;
use dinp_common::instance::{Instance, InstanceId, Seen, Want};
use dinp_common::name::{AppName, NodeName};
use dinp_common::plan::Desired;
use dinp_common::release::ReleaseNo;
use dinp_common::wire::InstanceReport;

use crate::observed::{Freshness, NodeSeen, Observed, mass_loss};
use crate::policy::Policy;
use crate::steadiness::{Unsteady, unsteady};

/// Mixes eight bytes at a time by a wide multiplication, whose halves are folded (as in wyhash): the same in every run,
/// unlike the standard hasher, and quick on names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mix(u64);

/// Odd, with as many ones as zeros (the golden ratio's fraction).
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Default for Mix {
    fn default() -> Self {
        Self(FACTOR)
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in words.by_ref() {
            self.write_u64(u64::from_le_bytes(word.try_into().expect("eight bytes")));
        }
        let rest = words.remainder().iter().fold(bytes.len() as u64, |rest, byte| rest << 8 | u64::from(*byte));
        self.write_u64(rest);
    }

    /// The end of a text, which [`Self::write`] has counted in.
    fn write_u8(&mut self, _: u8) {}

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(crate) type ByName<'a, N, V> = HashMap<&'a N, V, BuildHasherDefault<Mix>>;

/// A node as this pass sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeRow<'a> {
    pub name: &'a NodeName,
    pub freshness: Freshness,
    pub seen: Option<&'a NodeSeen>,
    /// It came back too often of late to be given anything new.
    pub unsteady: Option<Unsteady>,
}

impl<'a> NodeRow<'a> {
    pub fn new(name: &'a NodeName, observed: &'a Observed, leading_ms: u64, policy: &Policy) -> Self {
        let seen = observed.nodes.get(name);
        let unsteady = seen.and_then(|seen| unsteady(seen, policy));
        Self { name, freshness: Freshness::of(seen, leading_ms, policy), seen, unsteady }
    }
}

/// One instance, its node and its report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing<'a> {
    pub instance: &'a Instance,
    /// What its node last said of it, if the node is heard at all.
    pub report: Option<&'a InstanceReport>,
    /// The node's place among [`Standings::nodes`].
    pub node: u32,
    pub freshness: Freshness,
}

impl Standing<'_> {
    /// Nothing is left of it, and nothing of it comes back. One that is to run keeps its place whatever its agent says:
    /// that agent, started anew, would make its container again.
    pub fn is_gone(&self) -> bool {
        self.instance.want != Want::Run && self.report.is_some_and(|report| report.seen == Seen::Gone)
    }
}

pub(crate) struct Standings<'a> {
    /// By name: first those that are recorded, then those that only an instance names.
    pub nodes: Vec<NodeRow<'a>>,
    /// How many of them are recorded.
    pub recorded: usize,
    instances: &'a [Instance],
    /// The numbers of each instance's app and node.
    groups: Vec<(u32, u32)>,
    /// Instances app by app, and where each app's end.
    by_app: Vec<u32>,
    ends: Vec<u32>,
    apps: ByName<'a, AppName, u32>,
    /// By the app's number: all that it wants is there, and all that is there is well.
    well: Vec<bool>,
}

/// Lays a list out in groups, each in the list's order: how many each group has, then where its next one goes.
#[derive(Debug, Default)]
struct Places(Vec<u32>);

impl Places {
    fn count(&mut self, group: u32) {
        if self.0.len() <= group as usize {
            self.0.resize(group as usize + 1, 0);
        }
        self.0[group as usize] += 1;
    }

    /// From counts to beginnings.
    fn lay_out(&mut self) {
        let mut next = 0;
        for slot in &mut self.0 {
            (*slot, next) = (next, next + *slot);
        }
    }

    fn take(&mut self, group: u32) -> usize {
        let slot = &mut self.0[group as usize];
        *slot += 1;
        *slot as usize - 1
    }

    /// Once all are taken: where each group ends.
    fn ends(self) -> Vec<u32> {
        self.0
    }
}

impl<'a> Standings<'a> {
    /// Walks long lists in their own order: to look each instance's report up takes several times as long, and is left
    /// to the apps of which something may be decided.
    pub fn new(desired: &'a Desired, observed: &'a Observed, leading_ms: u64, policy: &Policy) -> Self {
        let row = |name: &'a NodeName| NodeRow::new(name, observed, leading_ms, policy);
        let mut nodes: Vec<NodeRow<'a>> = desired.nodes.iter().map(|node| row(&node.name)).collect();
        nodes.sort_by_key(|node| node.name);
        let recorded = nodes.len();
        let mut node_at: ByName<'a, NodeName, u32> = nodes.iter().zip(0..).map(|(node, at)| (node.name, at)).collect();
        let mut apps: ByName<'a, AppName, u32> = desired.apps.iter().zip(0..).map(|(app, at)| (&app.name, at)).collect();
        let mut by_app = Places(vec![0; apps.len()]);
        let mut groups: Vec<(u32, u32)> = Vec::with_capacity(desired.instances.len());
        for instance in &desired.instances {
            let app = apps.get(&instance.app).copied().unwrap_or_else(|| {
                let number = apps.len() as u32;
                *apps.entry(&instance.app).or_insert(number)
            });
            let node = node_at.get(&instance.node).copied().unwrap_or_else(|| {
                nodes.push(row(&instance.node));
                *node_at.entry(&instance.node).or_insert(nodes.len() as u32 - 1)
            });
            by_app.count(app);
            groups.push((app, node));
        }
        by_app.lay_out();
        let mut in_order = vec![0; groups.len()];
        for (at, (app, _)) in (0u32..).zip(&groups) {
            in_order[by_app.take(*app)] = at;
        }
        let well = well(desired, &groups, &nodes);
        Self { nodes, recorded, instances: &desired.instances, groups, by_app: in_order, ends: by_app.ends(), apps, well }
    }

    fn places(&self, app: &AppName) -> &[u32] {
        let Some(number) = self.apps.get(app).map(|number| *number as usize) else { return &[] };
        let from = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.by_app[from as usize..self.ends[number] as usize]
    }

    fn standing(&self, at: u32) -> Standing<'a> {
        let (instance, node) = (&self.instances[at as usize], self.groups[at as usize].1);
        let NodeRow { seen, freshness, .. } = self.nodes[node as usize];
        Standing { instance, report: seen.and_then(|seen| seen.instances.get(&instance.id)), node, freshness }
    }

    /// An app's instances, in the order of the records.
    pub fn of(&self, app: &AppName) -> impl Iterator<Item = Standing<'a>> {
        self.places(app).iter().map(|at| self.standing(*at))
    }

    /// The same, without a look at reports.
    pub fn instances_of(&self, app: &AppName) -> impl Iterator<Item = &'a Instance> {
        self.places(app).iter().map(|at| &self.instances[*at as usize])
    }

    /// As [`Observed::mass_loss`] says of the recorded nodes.
    pub fn mass_loss(&self, policy: &Policy) -> bool {
        mass_loss(self.nodes[..self.recorded].iter().map(|node| node.freshness), policy)
    }

    /// All that the app wants runs, is of its live release, and is healthy in a fresh report.
    pub fn is_well(&self, app: &AppName) -> bool {
        self.apps.get(app).is_some_and(|number| self.well.get(*number as usize) == Some(&true))
    }

    /// Every instance whose container may still be there, with its node's number; app by app.
    pub fn present(&self) -> impl Iterator<Item = (&'a Instance, u32)> {
        let gone = |at: u32| {
            let app = self.groups[at as usize].0;
            self.well.get(app as usize) != Some(&true) && self.standing(at).is_gone()
        };
        let here = self.by_app.iter().copied().filter(move |at| !gone(*at));
        here.map(|at| (&self.instances[at as usize], self.groups[at as usize].1))
    }
}

/// A proven instance of what its app wants, about which nothing is being decided.
#[derive(Debug, Clone)]
struct Calm {
    id: InstanceId,
    address: Option<SocketAddr>,
    /// Its app's number.
    app: u32,
}

/// Which apps are well, by their numbers.
fn well(desired: &Desired, groups: &[(u32, u32)], nodes: &[NodeRow<'_>]) -> Vec<bool> {
    let wants = |app: &App| if app.stopped || app.deleted { None } else { Some((app.live?, app.generation)) };
    let wants: Vec<Option<(ReleaseNo, u32)>> = desired.apps.iter().map(wants).collect();
    let calm = |instance: &Instance, app: u32| {
        let as_wanted = wants.get(app as usize) == Some(&Some((instance.release, instance.generation)));
        as_wanted && instance.want == Want::Run && instance.proven && instance.spent_ms == 0
    };
    let mut by_node = Places(vec![0; nodes.len()]);
    let mut all = vec![0; desired.apps.len()];
    for (app, node) in groups {
        by_node.count(*node);
        all.get_mut(*app as usize).into_iter().for_each(|all| *all += 1);
    }
    by_node.lay_out();
    // Each node's instances with their apps, in the order of the records; copied, to be read one after the other.
    let mut there: Vec<Option<Calm>> = vec![None; groups.len()];
    for (instance, (app, node)) in desired.instances.iter().zip(groups) {
        let place = by_node.take(*node);
        if calm(instance, *app) {
            there[place] = Some(Calm { id: instance.id.clone(), address: instance.address, app: *app });
        }
    }
    let mut healthy = vec![0; desired.apps.len()];
    let mut from = 0;
    for (row, end) in nodes.iter().zip(by_node.ends()) {
        if let Some(seen) = row.seen.filter(|_| row.freshness == Freshness::Fresh) {
            hear(&there[from as usize..end as usize], seen, &mut healthy);
        }
        from = end;
    }
    let counts = wants.iter().zip(all.into_iter().zip(healthy));
    let is_well = |(app, (wants, counts)): (&App, (&Option<_>, _))| wants.is_some() && counts == (app.instances, app.instances);
    desired.apps.iter().zip(counts).map(is_well).collect()
}

/// Counts for each app what one node says is healthy. Records and reports are both in the order of ids, as the store
/// reads them, so one walk finds all; an instance that it misses is looked up.
fn hear(there: &[Option<Calm>], seen: &NodeSeen, healthy: &mut [u32]) {
    let mut reports = seen.instances.iter();
    let mut next = reports.next();
    for Calm { id, address, app } in there.iter().flatten() {
        while next.is_some_and(|(known, _)| known < id) {
            next = reports.next();
        }
        let report = match next {
            Some((known, report)) if known == id => Some(report),
            Some(_) | None => seen.instances.get(id),
        };
        let well = report.is_some_and(|report| match report.seen {
            Seen::Running { address: at, health: Health::Healthy } => *address == Some(at),
            _ => false,
        });
        healthy[*app as usize] += u32::from(well);
    }
}
