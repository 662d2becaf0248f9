//! What one pass places together, arranged together: nothing of it has started, so it can still stand elsewhere.
//!
//! One after the other, each at the best node, is not always the best for all: a large one may find no room that small
//! ones could have left, and the fullest node may be fuller than it need be. A few instances on a few nodes are searched
//! for the arrangement that is best by [`Score`], within a bounded number of steps; more are left as they are.

use std::collections::BTreeMap;

use super::{Ask, Nodes, Placed};
use crate::placement::room::Use;

/// Instances that are arranged together: the search grows with a power of them.
const MOST_INSTANCES: usize = 12;
/// Nodes among which they are arranged.
const MOST_NODES: usize = 32;
/// Steps of one search; some tens of nanoseconds each, so that it stays below a millisecond.
const MOST_STEPS: u32 = 20_000;

/// Lower is better; compared field by field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// Sum of squares of each app's instances in each zone: the lower, the more evenly they are spread.
    zones: u64,
    /// The same for nodes.
    nodes: u64,
    /// How full the fullest node is, in millionths.
    fill: u64,
}

/// Something to place.
#[derive(Debug, Clone, Copy)]
struct Item {
    /// Its place among what the pass has placed.
    at: usize,
    ask: usize,
    app: usize,
    memory: u32,
    cpu: u32,
}

/// A copy of the nodes, small enough to be tried out.
struct Board {
    uses: Vec<Use>,
    items: Vec<Item>,
    /// Per app: instances on each node and in each zone.
    on_node: Vec<Vec<u32>>,
    in_zone: Vec<Vec<u32>>,
    /// Per ask: how many more each node may take of it.
    left: Vec<Vec<u32>>,
    chosen: Vec<u32>,
    score: Score,
    best: Option<(Score, Vec<u32>)>,
    steps: u32,
}

impl Nodes<'_> {
    /// Keeps in mind what a pass places, as long as it is little enough to be arranged.
    pub(super) fn remember(&mut self, ask: Ask, node: u32) {
        if self.placed.len() <= MOST_INSTANCES {
            self.placed.push((ask, node));
        }
    }

    fn is_arrangeable(&self, more: usize) -> bool {
        self.rooms.len() <= MOST_NODES && self.placed.len() + more <= MOST_INSTANCES
    }

    /// No node has room for this one: perhaps one would have, if others of this pass stood elsewhere.
    pub(super) fn place_by_moving(&mut self, ask: Ask) -> Option<Placed> {
        if self.placed.is_empty() || !self.is_arrangeable(1) {
            return None;
        }
        let all: Vec<Ask> = self.placed.iter().map(|(ask, _)| *ask).chain([ask]).collect();
        let found = self.board(&all).search(None)?;
        self.rearrange(&found[..all.len() - 1]);
        let node = found[all.len() - 1];
        let in_zone = self.in_zone(ask, node);
        let placed = Placed { node, reason: self.reason(ask, in_zone, self.placed.len() as u32) };
        self.take(ask, node);
        self.remember(ask, node);
        Some(placed)
    }

    /// Arranges all that was placed so that the fullest node is as little full as it can be, with every app spread as
    /// well as before. Answers what stands elsewhere now, by the order in which it was placed.
    pub fn arrange(&mut self) -> Vec<(usize, Placed)> {
        if self.placed.len() > 1 && self.is_arrangeable(0) {
            let all: Vec<Ask> = self.placed.iter().map(|(ask, _)| *ask).collect();
            let now: Vec<u32> = self.placed.iter().map(|(_, node)| *node).collect();
            if let Some(found) = self.board(&all).search(Some(&now)) {
                self.rearrange(&found);
            }
        }
        let others = (self.placed.len() as u32).saturating_sub(1);
        let say = |(at, (ask, node)): (usize, &(Ask, u32))| {
            let in_zone = self.in_zone(*ask, *node).saturating_sub(1);
            (at, Placed { node: *node, reason: self.reason(*ask, in_zone, others) })
        };
        self.placed.iter().enumerate().map(say).collect()
    }

    fn in_zone(&self, ask: Ask, node: u32) -> u32 {
        self.spreads[self.asks[ask.0 as usize].spread as usize].in_zone(self.stock.uses[node as usize].zone)
    }

    fn rearrange(&mut self, nodes: &[u32]) {
        let moved: Vec<(usize, u32)> =
            (0..).zip(nodes.iter().copied()).filter(|(at, node)| self.placed[*at].1 != *node).collect();
        for (at, _) in &moved {
            let (ask, node) = self.placed[*at];
            self.give_back(ask, node);
        }
        for (at, node) in moved {
            self.take(self.placed[at].0, node);
            self.placed[at].1 = node;
        }
    }

    /// The nodes as they are without what this pass has placed, and `all` to be placed.
    fn board(&self, all: &[Ask]) -> Board {
        let mut bare = self.clone();
        for (ask, node) in std::mem::take(&mut bare.placed) {
            bare.give_back(ask, node);
        }
        let mut apps: BTreeMap<u32, usize> = BTreeMap::new();
        let mut asks: BTreeMap<Ask, usize> = BTreeMap::new();
        for ask in all {
            let (app, at) = (bare.asks[ask.0 as usize].spread, apps.len());
            apps.entry(app).or_insert(at);
            let at = asks.len();
            asks.entry(*ask).or_insert(at);
        }
        let nodes = 0..bare.rooms.len() as u32;
        let mut in_zone = vec![Vec::new(); apps.len()];
        let mut on_node = vec![Vec::new(); apps.len()];
        for (app, at) in &apps {
            let spread = &bare.spreads[*app as usize];
            on_node[*at] = nodes.clone().map(|node| spread.nodes.on(node)).collect();
            in_zone[*at] = (0..bare.stock.zones() as u32).map(|zone| spread.in_zone(zone)).collect();
        }
        let mut left = vec![Vec::new(); asks.len()];
        for (ask, at) in &asks {
            let asked = &bare.asks[ask.0 as usize];
            let most = |node: u32| match &asked.limit {
                _ if !bare.filters[asked.filter as usize].allows(node) => 0,
                Some(limit) => limit.most.saturating_sub(limit.on(node)),
                None => u32::MAX,
            };
            left[*at] = nodes.clone().map(most).collect();
        }
        let item = |(at, ask): (usize, &Ask)| {
            let asked = &bare.asks[ask.0 as usize];
            Item { at, ask: asks[ask], app: apps[&asked.spread], memory: asked.memory, cpu: asked.cpu }
        };
        let mut items: Vec<Item> = all.iter().enumerate().map(item).collect();
        // The largest first: it has the fewest places.
        items.sort_by_key(|item| (std::cmp::Reverse(item.memory), item.ask, item.at));
        let fill = bare.stock.uses.iter().map(Use::fill).max().unwrap_or(0);
        let chosen = vec![0; all.len()];
        let score = Score { zones: 0, nodes: 0, fill };
        Board { uses: bare.stock.uses, items, on_node, in_zone, left, chosen, score, best: None, steps: MOST_STEPS }
    }
}

impl Board {
    /// The best arrangement found that is better than `now`, by the items' places.
    fn search(mut self, now: Option<&[u32]>) -> Option<Vec<u32>> {
        if let Some(now) = now {
            let before = self.score;
            let items = self.items.clone();
            let marks: Vec<Score> = items.iter().map(|item| self.put(item, now[item.at])).collect();
            let reached = self.score;
            items.iter().zip(&marks).rev().for_each(|(item, mark)| self.lift(item, now[item.at], *mark));
            self.score = before;
            self.best = Some((reached, Vec::new()));
        }
        self.descend(0);
        self.best.map(|(_, nodes)| nodes).filter(|nodes| !nodes.is_empty())
    }

    fn descend(&mut self, depth: usize) {
        if self.best.as_ref().is_some_and(|(best, _)| self.score >= *best) || self.steps == 0 {
            return;
        }
        self.steps -= 1;
        let Some(item) = self.items.get(depth).copied() else {
            self.best = Some((self.score, self.chosen.clone()));
            return;
        };
        // Equals are put in the order of their nodes: to swap two of them is no other arrangement.
        let equal = depth.checked_sub(1).map(|before| self.items[before]).filter(|before| before.ask == item.ask);
        let from = equal.map_or(0, |equal| self.chosen[equal.at]);
        let mut nodes: Vec<u32> = (from..self.uses.len() as u32).filter(|node| self.takes(&item, *node)).collect();
        nodes.sort_by_cached_key(|node| {
            let used = &self.uses[*node as usize];
            let mut after = *used;
            after.take(item.memory, item.cpu);
            (self.in_zone[item.app][used.zone as usize], self.on_node[item.app][*node as usize], after.fill(), *node)
        });
        for node in nodes {
            self.chosen[item.at] = node;
            let before = self.put(&item, node);
            self.descend(depth + 1);
            self.lift(&item, node, before);
        }
    }

    fn takes(&self, item: &Item, node: u32) -> bool {
        self.left[item.ask][node as usize] > 0 && self.uses[node as usize].fits(item.memory, item.cpu)
    }

    /// Puts it there and answers the score before.
    fn put(&mut self, item: &Item, node: u32) -> Score {
        let before = self.score;
        let node = node as usize;
        let zone = self.uses[node].zone as usize;
        self.uses[node].take(item.memory, item.cpu);
        // From n to n + 1 a square grows by 2n + 1.
        self.score.zones += u64::from(2 * self.in_zone[item.app][zone] + 1);
        self.score.nodes += u64::from(2 * self.on_node[item.app][node] + 1);
        self.score.fill = self.score.fill.max(self.uses[node].fill());
        self.in_zone[item.app][zone] += 1;
        self.on_node[item.app][node] += 1;
        self.left[item.ask][node] = self.left[item.ask][node].saturating_sub(1);
        before
    }

    fn lift(&mut self, item: &Item, node: u32, before: Score) {
        let node = node as usize;
        let zone = self.uses[node].zone as usize;
        self.uses[node].give_back(item.memory, item.cpu);
        self.in_zone[item.app][zone] -= 1;
        self.on_node[item.app][node] -= 1;
        self.left[item.ask][node] += 1;
        self.score = before;
    }
}
