//! How steadily a node is heard. One that comes and goes gets new instances only after it has been heard for a while,
//! longer each time, since what is placed at every return is lost at every silence.

use std::collections::VecDeque;

use crate::observed::NodeSeen;
use crate::policy::Policy;

/// Silences that are kept of a node; the bound of the memory, far more than any hold counts.
const SILENCES_KEPT: usize = 16;
/// Shorter ones are late reports, which are due every second; they make no node suspect.
const SILENCE_LEAST_MS: u64 = 3_000;

/// What one server remembers of a node's silences. Its clock is the time that it has been told of.
#[derive(Debug, Clone, Default)]
pub struct Steadiness {
    clock_ms: u64,
    silences: VecDeque<Silence>,
}

#[derive(Debug, Clone, Copy)]
struct Silence {
    ended_ms: u64,
    lasted_ms: u64,
}

/// The node was heard again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    pub ago_ms: u64,
    /// How long it had been silent.
    pub after_ms: u64,
}

impl Steadiness {
    /// The node is heard, `silent_ms` after the last time.
    pub fn heard(&mut self, silent_ms: u64) {
        self.clock_ms = self.clock_ms.saturating_add(silent_ms);
        if silent_ms < SILENCE_LEAST_MS {
            return;
        }
        if self.silences.len() == SILENCES_KEPT {
            self.silences.pop_front();
        }
        self.silences.push_back(Silence { ended_ms: self.clock_ms, lasted_ms: silent_ms });
    }

    /// All the time that it has been told of.
    pub fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// The returns, oldest first, `silent_ms` after the node was last heard.
    pub fn returns(&self, silent_ms: u64) -> Vec<Return> {
        let now_ms = self.clock_ms.saturating_add(silent_ms);
        let seen = |silence: &Silence| Return { ago_ms: now_ms - silence.ended_ms, after_ms: silence.lasted_ms };
        self.silences.iter().map(seen).collect()
    }
}

/// Why a node that is heard takes nothing new yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsteady {
    /// How often it came back of late.
    pub times: u32,
    pub ago_ms: u64,
    /// Of late is within this time.
    pub within_ms: u64,
    /// It takes new instances after so long without another silence.
    pub left_ms: u64,
}

/// Whether a node has come back too often of late to be given anything now.
pub fn unsteady(seen: &NodeSeen, policy: &Policy) -> Option<Unsteady> {
    let within_ms = policy.flap_window_ms;
    let counts = |back: &&Return| back.after_ms >= policy.suspect_after_ms && back.ago_ms < within_ms;
    let times = seen.returns.iter().filter(counts).count() as u32;
    let ago_ms = seen.returns.iter().filter(counts).map(|back| back.ago_ms).min()?;
    let left_ms = policy.flap_hold_ms(times).saturating_sub(ago_ms);
    (left_ms > 0).then_some(Unsteady { times, ago_ms, within_ms, left_ms })
}

/// Whether it was lost and has only just come back. Not one that does so again and again: nobody waits for that to end.
pub fn is_just_back(seen: &NodeSeen, policy: &Policy) -> bool {
    let counts = |back: &&Return| back.after_ms >= policy.lost_after_ms && back.ago_ms < policy.flap_window_ms;
    let mut returns = seen.returns.iter().filter(counts);
    matches!((returns.next(), returns.next()), (Some(back), None) if back.ago_ms < policy.mass_settle_ms)
}

impl Unsteady {
    /// A clause about the node.
    pub fn words(&self) -> String {
        let Self { times, ago_ms, within_ms, left_ms } = self;
        let (ago, left, window) = (ago_ms / 1000, left_ms.div_ceil(1000), duration(*within_ms));
        format!("it came back {ago} s ago for the {} time in {window}; it takes new instances in {left} s", ordinal(*times))
    }
}

fn ordinal(n: u32) -> String {
    const WORDS: [&str; 6] = ["first", "second", "third", "fourth", "fifth", "sixth"];
    let word = (n as usize).checked_sub(1).and_then(|at| WORDS.get(at));
    word.map_or_else(|| format!("{n}th"), |word| (*word).to_owned())
}

fn duration(ms: u64) -> String {
    if ms >= 60_000 && ms.is_multiple_of(60_000) { format!("{} min", ms / 60_000) } else { format!("{} s", ms / 1000) }
}

#[cfg(test)]
mod tests;
