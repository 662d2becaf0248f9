//! Every instance with its node and what was last said of it, by app: looked up once for all that a pass decides.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use dinp_common::app::App;
use dinp_common::instance::{Instance, Seen, Want};
use dinp_common::name::{AppName, NodeName};
use dinp_common::plan::Desired;
use dinp_common::release::ReleaseNo;
use dinp_common::wire::InstanceReport;

use crate::mix::Mix;
use crate::observed::{Freshness, NodeSeen, Observed};
use crate::policy::Policy;
use crate::reported::{Healthy, healthy_at};
use crate::steadiness::{Unsteady, is_just_back, unsteady};

/// Numbers by name, in the order in which the names are told. Of names that share their text, as those that a store has
/// read, only the place in memory is looked at: there are far more of them than a cache holds.
#[derive(Debug, Default)]
struct Numbers<'a> {
    by_place: HashMap<usize, u32, BuildHasherDefault<Mix>>,
    by_text: HashMap<&'a str, u32, BuildHasherDefault<Mix>>,
    next: u32,
}

impl<'a> Numbers<'a> {
    fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let mut numbers = Self::default();
        names.for_each(|name| numbers.add(name));
        numbers
    }

    fn add(&mut self, name: &'a str) {
        self.by_place.insert(name.as_ptr().addr(), self.next);
        self.by_text.insert(name, self.next);
        self.next += 1;
    }

    fn get(&self, name: &str) -> Option<u32> {
        self.by_place.get(&name.as_ptr().addr()).or_else(|| self.by_text.get(name)).copied()
    }

    /// The name's number, a new one if it has none yet.
    fn number(&mut self, name: &'a str) -> u32 {
        self.get(name).unwrap_or_else(|| {
            self.add(name);
            self.next - 1
        })
    }
}

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

    /// What it says, if it has said it just now.
    fn fresh(&self) -> Option<&'a NodeSeen> {
        self.seen.filter(|_| self.freshness == Freshness::Fresh)
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
    /// In the order of the records.
    rows: Vec<Row>,
    /// Instances app by app, and where each app's end.
    by_app: Vec<u32>,
    ends: Vec<u32>,
    apps: Numbers<'a>,
    /// By the app's number: all that it wants is there, and all that is there is well.
    well: Vec<bool>,
}

/// An instance in numbers.
#[derive(Debug, Clone, Copy)]
struct Row {
    app: u32,
    node: u32,
    /// As far as the records know, nothing is to be decided about it.
    calm: bool,
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
    /// Reads each record once, and of reports a number a node: to look each instance's report up takes several times as
    /// long, and is left to the nodes where something is amiss, and the apps of which something may be decided.
    pub fn new(desired: &'a Desired, observed: &'a Observed, leading_ms: u64, policy: &Policy) -> Self {
        let row = |name: &'a NodeName| NodeRow::new(name, observed, leading_ms, policy);
        let mut nodes: Vec<NodeRow<'a>> = desired.nodes.iter().map(|node| row(&node.name)).collect();
        nodes.sort_by_key(|node| node.name);
        let recorded = nodes.len();
        let mut names = Numbers::of(nodes.iter().map(|node| node.name.as_str()));
        let mut apps = Numbers::of(desired.apps.iter().map(|app| app.name.as_str()));
        let wants = wants(desired);
        let mut by_app = Places(vec![0; wants.len()]);
        let mut kept = vec![Healthy::default(); nodes.len()];
        let mut rows: Vec<Row> = Vec::with_capacity(desired.instances.len());
        for instance in &desired.instances {
            let app = apps.number(instance.app.as_str());
            let node = names.number(instance.node.as_str());
            if node as usize == nodes.len() {
                nodes.push(row(&instance.node));
                kept.push(Healthy::default());
            }
            by_app.count(app);
            if let Some(address) = instance.address {
                kept[node as usize].add(&instance.id, address);
            }
            rows.push(Row { app, node, calm: is_calm(instance, wants.get(app as usize).copied().flatten()) });
        }
        by_app.lay_out();
        let mut in_order = vec![0; rows.len()];
        for (at, row) in (0u32..).zip(&rows) {
            in_order[by_app.take(row.app)] = at;
        }
        let well = well(desired, &wants, &rows, &nodes, &kept);
        Self { nodes, recorded, instances: &desired.instances, rows, by_app: in_order, ends: by_app.ends(), apps, well }
    }

    fn places(&self, app: &AppName) -> &[u32] {
        let Some(number) = self.apps.get(app.as_str()).map(|number| number as usize) else { return &[] };
        let from = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.by_app[from as usize..self.ends[number] as usize]
    }

    fn standing(&self, at: u32) -> Standing<'a> {
        let (instance, node) = (&self.instances[at as usize], self.rows[at as usize].node);
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

    /// So many nodes are lost at once that the fault is more likely ours: nothing is replaced, and routes stay. They come
    /// back one by one, and who has only just done so counts: it ends when all are back, or those that are have stayed.
    pub fn mass_loss(&self, policy: &Policy) -> bool {
        let nodes = &self.nodes[..self.recorded];
        let is_lost = |node: &NodeRow<'_>| node.freshness == Freshness::Lost;
        let is_back = |node: &NodeRow<'_>| node.seen.is_some_and(|seen| is_just_back(seen, policy));
        let gone = nodes.iter().filter(|node| is_lost(node) || is_back(node)).count();
        // One node of two is an ordinary loss; all of one is not.
        let many = gone > 1 || gone == nodes.len();
        many && gone * 100 >= nodes.len() * policy.mass_loss_percent as usize && nodes.iter().any(is_lost)
    }

    /// All that the app wants runs, is of its live release, and is healthy in a fresh report.
    pub fn is_well(&self, app: &AppName) -> bool {
        self.apps.get(app.as_str()).is_some_and(|number| self.well.get(number as usize) == Some(&true))
    }

    /// The instances of all apps that are well, each with its app's place among the recorded ones; as the records lie.
    pub fn well(&self) -> impl Iterator<Item = (usize, &'a Instance)> {
        let all = self.rows.iter().map(|row| row.app as usize).zip(self.instances);
        all.filter(|(app, _)| self.well.get(*app) == Some(&true))
    }

    /// Every instance whose container may still be there, with its node's number; app by app.
    pub fn present(&self) -> impl Iterator<Item = (&'a Instance, u32)> {
        let gone = |at: u32| {
            let app = self.rows[at as usize].app;
            self.well.get(app as usize) != Some(&true) && self.standing(at).is_gone()
        };
        let here = self.by_app.iter().copied().filter(move |at| !gone(*at));
        here.map(|at| (&self.instances[at as usize], self.rows[at as usize].node))
    }
}

/// The release and generation that an app wants to run, if it wants any at all.
type Wants = Option<(ReleaseNo, u32)>;

fn wants(desired: &Desired) -> Vec<Wants> {
    let wants = |app: &App| if app.stopped || app.deleted { None } else { Some((app.live?, app.generation)) };
    desired.apps.iter().map(wants).collect()
}

/// It is proven, is what its app wants, and nothing is being decided about it.
fn is_calm(instance: &Instance, wants: Wants) -> bool {
    let as_wanted = wants == Some((instance.release, instance.generation));
    let is_proven = instance.proven && instance.address.is_some();
    as_wanted && instance.want == Want::Run && is_proven && instance.spent_ms == 0
}

/// Which apps are well, by their numbers. `kept` is what the records say of each node.
fn well(desired: &Desired, wants: &[Wants], rows: &[Row], nodes: &[NodeRow<'_>], kept: &[Healthy]) -> Vec<bool> {
    // Of most nodes all that is recorded is healthy, and nothing else is.
    let all_well = |(node, kept): (&NodeRow<'_>, &Healthy)| node.fresh().is_some_and(|seen| seen.instances.healthy() == *kept);
    let all_well: Vec<bool> = nodes.iter().zip(kept).map(all_well).collect();
    let is_healthy = |instance: &Instance, node: &NodeRow<'_>| {
        node.fresh().and_then(|seen| healthy_at(seen.instances.get(&instance.id)?)) == instance.address
    };
    let mut counts = vec![(0, 0); desired.apps.len()];
    for (instance, row) in desired.instances.iter().zip(rows) {
        let Some((all, healthy)) = counts.get_mut(row.app as usize) else { continue };
        let node = row.node as usize;
        *all += 1;
        *healthy += u32::from(row.calm && (all_well[node] || is_healthy(instance, &nodes[node])));
    }
    let counts = wants.iter().zip(counts);
    let is_well = |(app, (wants, counts)): (&App, (&Wants, _))| wants.is_some() && counts == (app.instances, app.instances);
    desired.apps.iter().zip(counts).map(is_well).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_number_wherever_its_text_lies() {
        let [one, two, three] = ["one", "two", "three"].map(|name| NodeName::parse(name).expect("name"));
        let mut numbers = Numbers::of([one.as_str(), two.as_str()].into_iter());
        let elsewhere = NodeName::parse("two").expect("name");
        assert_ne!(elsewhere.as_str().as_ptr(), two.as_str().as_ptr());
        assert_eq!([&one, &two, &elsewhere].map(|name| numbers.number(name.as_str())), [0, 1, 1]);
        assert_eq!([&three, &one, &three].map(|name| numbers.number(name.as_str())), [2, 0, 2]);
        assert_eq!(numbers.get("four"), None);
    }
}
