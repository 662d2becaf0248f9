//! The network between all parts: what becomes of a message.

use std::collections::BTreeMap;

use super::kernel::Ms;
use super::setting::Setting;

/// Somebody who sends or receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Server(usize),
    Node(usize),
    Router(usize),
    Store,
    Redis,
}

/// What becomes of one message.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    Lost,
    Once(Ms),
    Twice(Ms, Ms),
}

impl Fate {
    pub fn well(rng: &mut fastrand::Rng) -> Self {
        Self::Once(rng.u64(0..=2))
    }
}

/// The ways that are cut now, each in one direction, and by how many faults.
#[derive(Debug, Default)]
pub struct Net {
    cuts: BTreeMap<(Place, Place), u32>,
}

impl Net {
    pub fn cut(&mut self, from: Place, to: Place) {
        *self.cuts.entry((from, to)).or_default() += 1;
    }

    pub fn mend(&mut self, from: Place, to: Place) {
        if let Some(count) = self.cuts.get_mut(&(from, to)) {
            *count -= 1;
            if *count == 0 {
                self.cuts.remove(&(from, to));
            }
        }
    }

    pub fn mend_all(&mut self) {
        self.cuts.clear();
    }

    pub fn is_cut(&self, from: Place, to: Place) -> bool {
        !self.cuts.is_empty() && self.cuts.contains_key(&(from, to))
    }

    /// Whether a question and its answer get through.
    pub fn is_open(&self, one: Place, other: Place) -> bool {
        !self.is_cut(one, other) && !self.is_cut(other, one)
    }

    pub fn fate(&self, from: Place, to: Place, setting: &Setting, rng: &mut fastrand::Rng) -> Fate {
        let net = &setting.net;
        if self.is_cut(from, to) {
            return Fate::Lost;
        }
        let roll = rng.u32(0..1000);
        if roll < net.lost_permille {
            return Fate::Lost;
        }
        let delay = rng.u64(net.delay_least..=net.delay_most);
        if roll < net.lost_permille + net.late_permille {
            return Fate::Once(delay + rng.u64(0..=net.late_most));
        }
        if roll < net.lost_permille + net.late_permille + net.twice_permille {
            return Fate::Twice(delay, delay + rng.u64(0..=net.late_most));
        }
        Fate::Once(delay)
    }
}
