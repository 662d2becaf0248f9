//! Which node takes a new instance: hard filters that explain themselves, then an order of preference.
//!
//! The decision is the least [`Preference`] among the nodes that no filter rules out. It is found without looking at
//! every node: each zone keeps its nodes in the order of free memory, and each app knows where it stands already. What
//! one decision says is numbers; they become a sentence when somebody reads it.

mod arrange;
mod bits;
mod filter;
mod refusal;
mod room;
mod shift;
mod spread;
mod stock;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use dinp_common::name::{AppName, NodeName};
use dinp_common::node::Node;
use dinp_common::placement::Placement;
use dinp_common::release::{ReleaseNo, RunSpec};
use dinp_common::size::{Cpu, MiB};

use crate::observed::Observed;
use crate::policy::Policy;
use crate::standing::NodeRow;
use filter::Filter;
use refusal::{Asked, explain};
use room::{Room, mib};
pub(crate) use shift::Shift;
use spread::{Limit, Spread};
use stock::Stock;

/// What is taken on each node, as the pass goes on placing.
#[derive(Debug, Clone)]
pub struct Nodes<'a> {
    /// By name, so that a node's number is its rank.
    rooms: Vec<Room<'a>>,
    stock: Stock<'a>,
    filters: Vec<Filter<'a>>,
    spreads: Vec<Spread>,
    apps: BTreeMap<&'a AppName, u32>,
    asks: Vec<Wanted<'a>>,
    placed: Vec<(Ask, u32)>,
}

/// What one more instance needs.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    pub app: &'a AppName,
    pub release: ReleaseNo,
    pub generation: u32,
    pub memory: MiB,
    pub cpu: Option<Cpu>,
    pub placement: &'a Placement,
}

impl<'a> Demand<'a> {
    pub fn of(app: &'a AppName, release: ReleaseNo, generation: u32, spec: &'a RunSpec) -> Self {
        Self { app, release, generation, memory: spec.memory, cpu: spec.cpu, placement: &spec.placement }
    }
}

/// A demand that [`Nodes`] knows; each place of it costs no look at names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ask(u32);

/// An instance that stands already.
#[derive(Debug, Clone, Copy)]
pub struct Stands {
    /// Its node's rank by name.
    pub node: u32,
    pub release: ReleaseNo,
    pub generation: u32,
}

/// A demand, taken apart into the numbers that a decision compares.
#[derive(Debug, Clone)]
struct Wanted<'a> {
    demand: Demand<'a>,
    memory: u32,
    cpu: u32,
    spread: u32,
    filter: u32,
    size: u32,
    limit: Option<Limit>,
}

/// Lower is better; compared field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Preference {
    /// Instances of the same app in the node's zone: spread over zones first.
    in_zone: u32,
    /// And on the node itself.
    on_node: u32,
    /// The node with most free memory comes first.
    free: Reverse<u32>,
    node: u32,
}

/// Where, and why there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The node's rank by name.
    pub node: u32,
    pub reason: Reason,
}

/// Why a node was chosen, in numbers; [`Nodes::words`] makes a clause of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason {
    /// Nodes there are.
    nodes: u32,
    /// Nodes without room, closed, or not what the app asks for.
    filtered: u32,
    /// Nodes that hold as many of the app as they may.
    full: u32,
    /// Instances of the app in the node's zone before.
    in_zone: u32,
    /// It was chosen together with so many others of its pass.
    together: u32,
}

impl<'a> Nodes<'a> {
    /// Empty nodes; what stands on them is told with [`Nodes::reserve`], then [`Nodes::open`] is called.
    pub(crate) fn new(nodes: &[Node], rows: &[NodeRow<'a>]) -> Self {
        let known: BTreeMap<&NodeName, &Node> = nodes.iter().map(|node| (&node.name, node)).collect();
        let rooms: Vec<Room<'a>> = rows.iter().map(|row| Room::new(row, known.get(row.name).copied())).collect();
        Self {
            stock: Stock::new(&rooms),
            rooms,
            filters: Vec::new(),
            spreads: Vec::new(),
            apps: BTreeMap::new(),
            asks: Vec::new(),
            placed: Vec::new(),
        }
    }

    /// Nodes on which nothing stands.
    pub fn empty(nodes: &'a [Node], observed: &'a Observed, leading_ms: u64, policy: &Policy) -> Self {
        let mut rows: Vec<NodeRow<'a>> =
            nodes.iter().map(|node| NodeRow::new(&node.name, observed, leading_ms, policy)).collect();
        rows.sort_by_key(|row| row.name);
        let mut empty = Self::new(nodes, &rows);
        empty.open();
        empty
    }

    /// An instance stands here already.
    pub(crate) fn reserve(&mut self, node: u32, memory: MiB, cpu: Option<Cpu>) {
        if let Some(used) = self.stock.uses.get_mut(node as usize) {
            used.take(mib(memory), cpu.map_or(0, |cpu| cpu.0));
        }
    }

    /// All that stands is reserved: decisions may begin.
    pub(crate) fn open(&mut self) {
        self.stock.sort();
    }

    pub fn name(&self, node: u32) -> &'a NodeName {
        self.rooms[node as usize].name
    }

    /// Makes a demand known. `standing` are the app's instances whose containers are not gone; an app that is known
    /// is not asked for them again.
    pub fn ask(&mut self, demand: Demand<'a>, standing: impl IntoIterator<Item = Stands>) -> Ask {
        let same = |asked: &Wanted<'_>| {
            let key = |demand: &Demand<'_>| (demand.release, demand.generation);
            asked.demand.app == demand.app && key(&asked.demand) == key(&demand)
        };
        if self.apps.contains_key(demand.app)
            && let Some(at) = self.asks.iter().position(same)
        {
            return Ask(at as u32);
        }
        let nodes = self.rooms.len();
        let mut limit = demand.placement.per_node.map(|most| Limit::new(most, nodes));
        let known = self.apps.get(demand.app).copied();
        let mut spread = Spread::new(nodes, self.stock.zones());
        for stands in standing.into_iter().filter(|stands| (stands.node as usize) < nodes) {
            spread.add(stands.node, self.stock.uses[stands.node as usize].zone);
            if let Some(limit) =
                limit.as_mut().filter(|_| (stands.release, stands.generation) == (demand.release, demand.generation))
            {
                limit.add(stands.node);
            }
        }
        let spread = known.unwrap_or_else(|| {
            self.spreads.push(spread);
            self.spreads.len() as u32 - 1
        });
        self.apps.insert(demand.app, spread);
        let (memory, cpu) = (mib(demand.memory), demand.cpu.map_or(0, |cpu| cpu.0));
        let filter = self.filter(demand.placement, memory, cpu);
        let size = self.stock.size(memory, cpu, filter, &self.filters[filter as usize]);
        self.asks.push(Wanted { demand, memory, cpu, spread, filter, size, limit });
        Ask(self.asks.len() as u32 - 1)
    }

    /// Nodes that come and go are a last resort: for what no steady one could ever take, there is nobody else to prefer.
    fn filter(&mut self, asked: &'a Placement, memory: u32, cpu: u32) -> u32 {
        let steady = self.filter_of(asked, false);
        let could = |node: &u32| self.stock.uses[*node as usize].could_ever(memory, cpu);
        if self.filters[steady as usize].inside().iter().any(could) { steady } else { self.filter_of(asked, true) }
    }

    fn filter_of(&mut self, asked: &'a Placement, last_resort: bool) -> u32 {
        let known = self.filters.iter().position(|filter| filter.is_for(asked, last_resort));
        known.unwrap_or_else(|| {
            self.filters.push(Filter::new(asked, last_resort, &self.rooms));
            self.filters.len() - 1
        }) as u32
    }

    /// Chooses a node for one more instance and takes the room; `None` if no node has any.
    pub fn place(&mut self, ask: Ask) -> Option<Placed> {
        let Some(best) = self.best(ask) else { return self.place_by_moving(ask) };
        let placed = Placed { node: best.node, reason: self.reason(ask, best.in_zone, 0) };
        self.take(ask, best.node);
        self.remember(ask, best.node);
        Some(placed)
    }

    fn reason(&self, ask: Ask, in_zone: u32, together: u32) -> Reason {
        let asked = &self.asks[ask.0 as usize];
        let nodes = self.rooms.len() as u32;
        let full = asked.limit.as_ref().map_or(0, |limit| limit.full);
        Reason { nodes, filtered: nodes - self.stock.fits(asked.size), full, in_zone, together }
    }

    /// Why this node, as a clause.
    pub fn words(&self, placed: &Placed) -> String {
        let Reason { nodes, filtered, full, in_zone, together } = placed.reason;
        if nodes == 1 {
            return "the only node".to_owned();
        }
        let mut words = match together {
            0 => format!("least loaded of {nodes}"),
            1 => format!("best of {nodes} together with another one placed at once"),
            _ => format!("best of {nodes} together with {together} others placed at once"),
        };
        if self.stock.zones() > 1 {
            let zone = self.stock.zone_name(self.stock.uses[placed.node as usize].zone);
            words += &format!(" in zone {}, which held {in_zone} of it", refusal::named(zone));
        }
        if filtered > 0 {
            words += &format!(", {filtered} filtered");
        }
        if full > 0 {
            words += &format!(", {full} with all they may hold of it");
        }
        words
    }

    /// Why no node takes one more, group of nodes by group of nodes.
    pub fn refusals(&self, ask: Ask) -> String {
        if self.rooms.is_empty() {
            return "no node has joined yet".to_owned();
        }
        let asked = &self.asks[ask.0 as usize];
        let words = Asked {
            memory: asked.memory,
            cpu: asked.cpu,
            placement: asked.demand.placement,
            last_resort: self.filters[asked.filter as usize].last_resort,
            limit: asked.limit.as_ref(),
        };
        explain(&words, (0u32..).zip(&self.rooms).zip(&self.stock.uses).map(|((at, room), used)| (at, room, used)))
    }

    fn take(&mut self, ask: Ask, node: u32) {
        let asked = &mut self.asks[ask.0 as usize];
        self.stock.take(node, asked.memory, asked.cpu, &self.filters);
        self.spreads[asked.spread as usize].add(node, self.stock.uses[node as usize].zone);
        if let Some(limit) = &mut asked.limit {
            limit.add(node);
        }
    }

    fn give_back(&mut self, ask: Ask, node: u32) {
        let asked = &mut self.asks[ask.0 as usize];
        self.stock.give_back(node, asked.memory, asked.cpu, &self.filters);
        self.spreads[asked.spread as usize].remove(node, self.stock.uses[node as usize].zone);
        if let Some(limit) = &mut asked.limit {
            limit.remove(node);
        }
    }

    /// The node that is preferred to all others.
    fn best(&self, ask: Ask) -> Option<Preference> {
        let asked = &self.asks[ask.0 as usize];
        let spread = &self.spreads[asked.spread as usize];
        if self.filters[asked.filter as usize].few {
            let inside = self.filters[asked.filter as usize].inside().iter();
            return inside.filter(|node| self.takes(asked, **node)).map(|node| self.preference(spread, *node)).min();
        }
        let mut best: Option<Preference> = None;
        // The fewest of the app in a zone that has room, though only on nodes where the app stands already.
        let mut crowded = u32::MAX;
        for zone in 0..self.stock.zones() as u32 {
            let in_zone = spread.in_zone(zone);
            if best.is_some_and(|best| best.in_zone < in_zone) {
                continue;
            }
            let mut fitting = self.stock.fitting(zone, asked.memory).peekable();
            let has_room = fitting.peek().is_some();
            match fitting.find(|node| !spread.nodes.has(*node) && self.takes(asked, *node)) {
                Some(node) => best = best.into_iter().chain([self.preference(spread, node)]).min(),
                None if has_room => crowded = crowded.min(in_zone),
                None => {}
            }
        }
        if best.is_some_and(|best| best.in_zone <= crowded) || crowded == u32::MAX {
            return best;
        }
        let held = spread.nodes.nodes().filter(|node| self.takes(asked, *node));
        held.map(|node| self.preference(spread, node)).chain(best).min()
    }

    fn takes(&self, asked: &Wanted<'_>, node: u32) -> bool {
        self.stock.uses[node as usize].fits(asked.memory, asked.cpu)
            && self.filters[asked.filter as usize].allows(node)
            && asked.limit.as_ref().is_none_or(|limit| !limit.is_full(node))
    }

    fn preference(&self, spread: &Spread, node: u32) -> Preference {
        let used = &self.stock.uses[node as usize];
        Preference { in_zone: spread.in_zone(used.zone), on_node: spread.nodes.on(node), free: Reverse(used.free()), node }
    }
}
