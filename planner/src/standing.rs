//! Every instance with its node and what was last said of it, by app: looked up once for all that a pass decides.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use dinp_common::instance::{Instance, Seen};
use dinp_common::name::{AppName, NodeName};
use dinp_common::plan::Desired;
use dinp_common::wire::InstanceReport;

use crate::observed::{Freshness, NodeSeen, Observed};
use crate::policy::Policy;

/// FNV-1a: the same in every run, unlike the standard hasher, and quick on names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

pub(crate) type ByName<'a, N, V> = HashMap<&'a N, V, BuildHasherDefault<Fnv>>;

/// A node as this pass sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeRow<'a> {
    pub name: &'a NodeName,
    pub freshness: Freshness,
    pub seen: Option<&'a NodeSeen>,
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
    /// Its agent says that nothing is left of it.
    pub fn is_gone(&self) -> bool {
        self.report.is_some_and(|report| report.seen == Seen::Gone)
    }
}

pub(crate) struct Standings<'a> {
    /// By name: first those that are recorded, then those that only an instance names.
    pub nodes: Vec<NodeRow<'a>>,
    /// How many of them are recorded.
    pub recorded: usize,
    all: Vec<Standing<'a>>,
    apps: ByName<'a, AppName, (u32, u32)>,
}

impl<'a> Standings<'a> {
    pub fn new(desired: &'a Desired, observed: &'a Observed, leading_ms: u64, policy: &Policy) -> Self {
        let row = |name: &'a NodeName| NodeRow {
            name,
            freshness: observed.freshness(name, leading_ms, policy),
            seen: observed.nodes.get(name),
        };
        let mut nodes: Vec<NodeRow<'a>> = desired.nodes.iter().map(|node| row(&node.name)).collect();
        nodes.sort_by_key(|node| node.name);
        let recorded = nodes.len();
        let mut node_at: ByName<'a, NodeName, u32> = nodes.iter().zip(0..).map(|(node, at)| (node.name, at)).collect();
        let mut apps: ByName<'a, AppName, (u32, u32)> = ByName::default();
        let mut order: Vec<&'a AppName> = Vec::new();
        // Which app and which node each instance belongs to, then how many each app has, then each in its app's place.
        let mut places: Vec<(u32, u32)> = Vec::with_capacity(desired.instances.len());
        let mut counts: Vec<u32> = Vec::new();
        for instance in &desired.instances {
            let app = apps.entry(&instance.app).or_insert_with(|| {
                order.push(&instance.app);
                counts.push(0);
                (counts.len() as u32 - 1, 0)
            });
            counts[app.0 as usize] += 1;
            let node = *node_at.entry(&instance.node).or_insert_with(|| {
                nodes.push(row(&instance.node));
                nodes.len() as u32 - 1
            });
            places.push((app.0, node));
        }
        let mut next = 0;
        let mut starts: Vec<u32> = Vec::with_capacity(counts.len());
        for (app, count) in order.iter().zip(&counts) {
            apps.insert(app, (next, next + count));
            starts.push(next);
            next += count;
        }
        let mut by_app = vec![0u32; places.len()];
        for (at, (app, _)) in (0u32..).zip(&places) {
            let slot = &mut starts[*app as usize];
            by_app[*slot as usize] = at;
            *slot += 1;
        }
        let all = by_app.into_iter().map(|at| {
            let (instance, node) = (&desired.instances[at as usize], places[at as usize].1);
            let NodeRow { seen, freshness, .. } = nodes[node as usize];
            Standing { instance, report: seen.and_then(|seen| seen.instances.get(&instance.id)), node, freshness }
        });
        Self { all: all.collect(), recorded, apps, nodes }
    }

    /// An app's instances, in the order of the records.
    pub fn of(&self, app: &AppName) -> &[Standing<'a>] {
        self.apps.get(app).map_or(&[], |(from, to)| &self.all[*from as usize..*to as usize])
    }

    pub fn all(&self) -> &[Standing<'a>] {
        &self.all
    }
}
