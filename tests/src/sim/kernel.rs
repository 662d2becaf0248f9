//! Time, chance and what is to happen: the part of the simulation that every actor shares.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::event::Event;
use super::net::{Fate, Net, Place};
use super::planted::Planted;
use super::setting::Setting;
use super::trace::Trace;

/// Milliseconds of simulated time.
pub type Ms = u64;

pub const SECOND: Ms = 1_000;
pub const MINUTE: Ms = 60 * SECOND;

/// Queue, clock and dice. Everything that is drawn is drawn here, in the order of events, so a seed is a run.
pub struct Kernel {
    pub now: Ms,
    pub rng: fastrand::Rng,
    pub net: Net,
    pub trace: Trace,
    pub setting: Setting,
    pub planted: Option<Planted>,
    /// The faults are over.
    pub calm: bool,
    pub steps: u64,
    queue: BinaryHeap<Entry>,
    order: u64,
    last_id: u64,
}

struct Entry {
    at: Ms,
    order: u64,
    event: Event,
}

impl Kernel {
    pub fn new(setting: Setting, planted: Option<Planted>, trace: Trace) -> Self {
        let rng = fastrand::Rng::with_seed(setting.seed ^ 0x5eed_0000_0000_0001);
        Self {
            now: 0,
            rng,
            net: Net::default(),
            trace,
            setting,
            planted,
            calm: false,
            steps: 0,
            queue: BinaryHeap::new(),
            order: 0,
            last_id: 0,
        }
    }

    /// The next event; time jumps to it.
    pub fn next(&mut self) -> Option<Event> {
        let entry = self.queue.pop()?;
        self.now = entry.at;
        self.steps += 1;
        self.trace.count(entry.at, entry.order);
        Some(entry.event)
    }

    pub fn after(&mut self, delay: Ms, event: Event) {
        self.at(self.now + delay, event);
    }

    pub fn at(&mut self, at: Ms, event: Event) {
        self.order += 1;
        self.queue.push(Entry { at: at.max(self.now), order: self.order, event });
    }

    /// Sends a message from one place to another; false if it certainly never arrives. A message may arrive late, twice
    /// or not at all.
    pub fn send(&mut self, from: Place, to: Place, event: Event) -> bool {
        let fate = if self.calm { Fate::well(&mut self.rng) } else { self.net.fate(from, to, &self.setting, &mut self.rng) };
        let event = if self.fault(self.setting.net.partial_permille) { event.cut_short() } else { event };
        match fate {
            Fate::Lost => false,
            Fate::Once(delay) => {
                self.after(delay, event);
                true
            }
            Fate::Twice(first, second) => {
                self.after(first, event.clone());
                self.after(second, event);
                true
            }
        }
    }

    /// A number that was never given before in this run.
    pub fn fresh(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// True in `permille` of a thousand cases, and never once the faults are over.
    pub fn fault(&mut self, permille: u32) -> bool {
        !self.calm && permille > 0 && self.rng.u32(0..1000) < permille
    }

    pub fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.rng.u32(0..1000) < permille
    }

    pub fn between(&mut self, least: Ms, most: Ms) -> Ms {
        self.rng.u64(least..=most)
    }

    pub fn is_planted(&self, bug: Planted) -> bool {
        self.planted == Some(bug)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest, since the heap gives the greatest first.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}
