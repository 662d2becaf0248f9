//! One assigned instance, from assigned to gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use dinp_common::exit::Exit;
use dinp_common::health::Health;
use dinp_common::instance::Seen;
use dinp_common::name::AppName;
use dinp_common::release::ReleaseNo;

use super::{EXIT_READ_WITHIN, RESTART_FIRST, RESTART_MAX, RETRY_AFTER, TRIES};

/// An operation under way. There is never more than one for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Create,
    Act(super::Action),
    Examine,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// No container, or one that never ran; the words say what it waits for.
    Waiting(String),
    Alive,
    /// It ended unasked; `None` while its exit is being read.
    Dead(Option<Exit>),
    Broken(String),
    /// To be stopped: when SIGTERM was sent, and when SIGKILL.
    Ending {
        term: Option<Duration>,
        kill: Option<Duration>,
    },
    Gone,
}

#[derive(Debug, Clone)]
pub struct Track {
    pub phase: Phase,
    pub op: Option<Op>,
    /// A creation whose outcome is unknown: only a list begun at or after this mark tells it.
    pub lookup: Option<u64>,
    /// What the container under creation is of, whatever becomes of its assignment meanwhile.
    pub creating: Option<(AppName, ReleaseNo)>,
    /// Failed tries of the present operation, and when the next may begin.
    pub tries: u32,
    /// Docker itself has said that there is no container; that no list has one is not enough.
    pub absent: bool,
    pub retry_at: Duration,
    pub health: Health,
    /// False until the first probe of this agent's life, for a container that was found running.
    pub probed: bool,
    pub probing: bool,
    pub listening: Vec<SocketAddr>,
    /// Counts the container's runs under this agent; words about an earlier run are void.
    pub run: u32,
    pub restarts: u32,
    /// A restart in place whose outcome is unknown: should its container run, that was it.
    pub restarting: bool,
    /// Restarts in a row without a long run between them.
    pub row: u32,
    pub started_at: Duration,
    pub ended_at: Duration,
    /// The exit code of Docker's own announcement, until the container is examined.
    pub code: Option<i64>,
    /// It ended while an operation was under way.
    pub ended_meanwhile: bool,
}

impl Track {
    pub fn new() -> Self {
        Self {
            phase: Phase::Waiting("waiting for its turn".to_owned()),
            op: None,
            lookup: None,
            creating: None,
            tries: 0,
            absent: false,
            retry_at: Duration::ZERO,
            health: Health::Unproven { last: None },
            probed: false,
            probing: false,
            listening: Vec::new(),
            run: 0,
            restarts: 0,
            restarting: false,
            row: 0,
            started_at: Duration::ZERO,
            ended_at: Duration::ZERO,
            code: None,
            ended_meanwhile: false,
        }
    }

    /// Its container runs: anew after a start, or found so.
    pub fn alive(&mut self, now: Duration, started: bool) {
        self.phase = Phase::Alive;
        self.health = Health::Unproven { last: None };
        self.listening.clear();
        self.probed = started;
        self.probing = false;
        self.run += 1;
        self.started_at = now;
        self.succeeded();
    }

    /// This agent has started its container once more.
    pub fn restarted(&mut self) {
        self.restarts += 1;
        self.restarting = false;
    }

    /// Its container ended and was not asked to; the exit is still to be read.
    pub fn ended(&mut self, now: Duration) {
        if now.saturating_sub(self.started_at) >= RESTART_MAX {
            self.row = 0;
        }
        self.phase = Phase::Dead(None);
        self.ended_at = now;
    }

    pub fn succeeded(&mut self) {
        self.tries = 0;
        self.retry_at = Duration::ZERO;
    }

    /// An operation failed in a way that may pass. True if it is to be tried again.
    pub fn failed(&mut self, now: Duration) -> bool {
        self.tries += 1;
        self.retry_at = now + RETRY_AFTER * self.tries;
        self.tries < TRIES
    }

    /// When it may be restarted in place.
    pub fn restart_at(&self) -> Duration {
        self.ended_at + (RESTART_FIRST * 2u32.pow(self.row.min(16))).min(RESTART_MAX)
    }

    /// What is reported. An ended container stays `Running` for the milliseconds in which its exit is read, so that
    /// an `Exited` is always complete; where that takes longer, it is at least unhealthy.
    pub fn seen(&self, now: Duration, address: Option<Ipv4Addr>, port: u16) -> Seen {
        match &self.phase {
            Phase::Waiting(step) => Seen::Pending { step: self.step().unwrap_or(step).to_owned() },
            Phase::Alive | Phase::Dead(None) => match address {
                Some(address) => Seen::Running { address: (address, port).into(), health: self.health_at(now) },
                None => Seen::Failed { why: "its container runs at no address of this node's network".to_owned() },
            },
            Phase::Dead(Some(exit)) => Seen::Exited { exit: exit.clone() },
            Phase::Broken(why) => Seen::Failed { why: why.clone() },
            Phase::Ending { .. } => Seen::Stopping,
            Phase::Gone => Seen::Gone,
        }
    }

    fn health_at(&self, now: Duration) -> Health {
        match (&self.phase, &self.health) {
            (Phase::Dead(None), Health::Healthy) if now >= self.exit_overdue() => {
                Health::Unhealthy { last: "its container has ended, and Docker is asked how".to_owned() }
            }
            (_, health) => health.clone(),
        }
    }

    /// When an exit that is still being read is reported in part.
    pub fn exit_overdue(&self) -> Duration {
        self.ended_at + EXIT_READ_WITHIN
    }

    fn step(&self) -> Option<&'static str> {
        match self.op? {
            Op::Create => Some("creating its container"),
            Op::Act(_) => Some("starting its container"),
            Op::Examine => None,
        }
    }
}
