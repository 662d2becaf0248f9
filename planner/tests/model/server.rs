//! A server: the lease's loop and the leader's pass, each of which may stand still between any two of its steps.

use dinp_common::fence::{Fence, LeaseRow};
use dinp_planner::lease::{Lease, LeaseStep, Role};

use crate::settings::{Planted, Settings};
use crate::store::{Answer, Statement};

#[derive(Debug, Clone)]
pub struct Server {
    /// Counts its starts, since each start is another holder.
    pub life: u32,
    pub phase: Phase,
    /// Its own clock.
    pub now_ms: u64,
    pub lease: Lease,
    /// The highest epoch of whoever refused it.
    pub highest: u64,
    pub look: Option<Look>,
    pub pass: Pass,
    pub term: Option<Tenure>,
    /// When each node's last full report came.
    pub heard: [Option<u64>; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Up,
    /// It gives up the lease and ends.
    Stopping,
    Down,
}

/// A statement about the lease that is under way.
#[derive(Debug, Clone)]
pub struct Look {
    pub statement: Statement,
    pub sent_ms: u64,
    /// The store has executed it; the answer is under way.
    pub answer: Option<Answer>,
}

/// How far the leader's pass is.
#[derive(Debug, Clone)]
pub enum Pass {
    Idle,
    Loaded {
        fence: Fence,
        decided: u8,
    },
    /// The commit is under way, and perhaps executed; then with this result.
    Committing {
        fence: Fence,
        decided: u8,
        held: Option<bool>,
    },
    /// Stored; now everybody is told.
    Stored {
        fence: Fence,
        decided: u8,
    },
}

/// What a `Term` is here: it belongs to one fence, and gives out versions.
#[derive(Debug, Clone)]
pub struct Tenure {
    pub fence: Fence,
    pub since_ms: u64,
    pub revision: u64,
    pub sent: u8,
}

impl Tenure {
    /// The rule of `Term::current`; the test beside [`crate::promises`] compares the two.
    pub fn current<'t>(slot: &'t mut Option<Tenure>, fence: &Fence, now_ms: u64) -> &'t mut Tenure {
        let term = slot.take().filter(|term| term.fence == *fence);
        slot.insert(term.unwrap_or_else(|| Tenure { fence: fence.clone(), since_ms: now_ms, revision: 0, sent: 0 }))
    }

    /// The version of this level, a new one if it is not the last.
    pub fn version(&mut self, decided: u8) -> u64 {
        if self.revision == 0 || self.sent != decided {
            self.revision += 1;
            self.sent = decided;
        }
        self.revision
    }
}

impl Server {
    pub fn down(life: u32, settings: &Settings) -> Self {
        Self {
            life,
            phase: Phase::Down,
            now_ms: 0,
            lease: Lease::new(settings.times),
            highest: 0,
            look: None,
            pass: Pass::Idle,
            term: None,
            heard: [None; 2],
        }
    }

    pub fn up(life: u32, settings: &Settings) -> Self {
        Self { phase: Phase::Up, ..Self::down(life, settings) }
    }

    pub fn acting(&self) -> Option<&Fence> {
        self.lease.acting(self.now_ms).filter(|_| self.phase != Phase::Down)
    }

    /// Its clock goes on.
    pub fn tick(&mut self, settings: &Settings) {
        if self.phase != Phase::Down {
            self.now_ms += 1;
            if settings.has(Planted::TermForgotten) && self.acting().is_none() {
                self.term = None;
            }
        }
    }

    /// What `server/src/lead.rs` does with a row it has just read.
    ///
    /// # Errors
    /// If it reaches for what it must not.
    pub fn look_at(&mut self, row: &LeaseRow, holder: String, settings: &Settings) -> Result<(), String> {
        let led = match self.lease.role() {
            Role::Leading { fence, .. } => Some(fence.clone()),
            Role::Following { .. } => None,
        };
        let outdone = self.acting().is_some_and(|fence| fence.epoch <= self.highest);
        let highest = if settings.has(Planted::RefusalIgnored) { 0 } else { self.highest };
        let impatient = settings.has(Planted::TtlNotWaited) && led.is_none();
        let step = if impatient {
            LeaseStep::Take { row: row.clone(), at_least: 1 }
        } else if outdone && settings.has(Planted::OutdoneTakesFromAnyone) {
            LeaseStep::Take { row: row.clone(), at_least: self.highest + 1 }
        } else {
            self.lease.step(row, self.now_ms, highest, false)
        };
        let statement = match step {
            LeaseStep::Wait => return Ok(()),
            LeaseStep::Renew(fence) => Statement::Renew(fence),
            LeaseStep::Take { row, at_least } => {
                if let Some(led) = led.filter(|led| (led.epoch, &led.holder) != (row.epoch, &row.holder)) {
                    return Err(format!("{led:?} takes the lease from {row:?}, whose counter it has not watched"));
                }
                Statement::Take { row, holder, at_least }
            }
        };
        self.look = Some(Look { statement, sent_ms: self.now_ms, answer: None });
        Ok(())
    }

    /// The answer of the store arrives.
    pub fn answered(&mut self, settings: &Settings) {
        let Some(Look { sent_ms, answer: Some(answer), statement }) = self.look.take() else { return };
        let since_ms = if settings.has(Planted::RenewedFromTheAnswer) { self.now_ms } else { sent_ms };
        match answer {
            Answer::Taken(Some(fence)) => self.lease.taken(fence, since_ms),
            Answer::Held(held) if matches!(statement, Statement::Renew(_)) => self.lease.renewed(held, since_ms),
            Answer::Taken(None) | Answer::Held(_) => {}
        }
    }

    /// It is told to end: the lease is given up first.
    pub fn stop(&mut self, settings: &Settings) {
        let fence =
            if settings.has(Planted::ReleasedWhileActing) { self.acting().cloned() } else { self.lease.give_up(self.now_ms) };
        self.phase = Phase::Stopping;
        self.look = fence.map(|fence| Look { statement: Statement::Release(fence), sent_ms: self.now_ms, answer: None });
    }
}

pub fn holder(name: char, life: u32) -> String {
    format!("{name}{life}")
}
