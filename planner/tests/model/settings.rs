//! What a run of the model has in it.

use dinp_planner::lease::LeaseTimes;

/// The bounds of one exploration. Everything within them is visited; time, epochs and counters have none.
#[derive(Debug, Clone)]
pub struct Settings {
    pub times: LeaseTimes,
    /// Servers, at most two.
    pub servers: usize,
    /// Nodes, which take assignments through their gate.
    pub nodes: usize,
    /// One router, which takes certified tables.
    pub router: bool,
    pub decisions: Decisions,
    pub drift: Drift,
    /// Messages under way at once to one receiver; a further one is lost. With none, what is said arrives at once.
    pub messages: usize,
    /// Whether a message may arrive twice.
    pub doubled: bool,
    /// Statements at once that their sender has given up and the store may still execute.
    pub late: usize,
    /// Crashes and orderly ends of servers and nodes, together.
    pub ends: u8,
    /// The store loses its last writes once: a replica that lagged behind takes over.
    pub fail_over: bool,
    /// When the store answers about the lease.
    pub answers: Answers,
    /// When it answers to a load and a commit; at once, both are one step, and only what follows comes later.
    pub commits: Answers,
    pub planted: Option<Planted>,
}

/// What leaders decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decisions {
    /// Nothing: only who leads is looked at.
    None,
    /// So many things that people ask for, one after the other.
    Asked(u8),
    /// One app runs on each node and is moved to the other when its node is lost, after this many milliseconds.
    Moves { lost_after_ms: u64 },
}

/// How far the servers' clocks drift apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// Not at all.
    None,
    /// By one unit within a TTL, time and again.
    Bounded,
    /// By any amount, as when a machine is suspended with its clock.
    Free,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    AtOnce,
    /// After any time, or never.
    AnyTime,
}

/// One changed decision each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A challenger takes the lease at its first look.
    TtlNotWaited,
    /// A node takes assignments from anybody.
    NodeWithoutGate,
    /// A node compares epochs and not holders.
    EqualEpochAccepted,
    /// A node has its gate in memory alone.
    GateForgotten,
    /// The store writes without proving the lease.
    StoreWithoutFence,
    /// The lease is written over whatever stands there now.
    TakenWithoutCompare,
    /// A new holder keeps the epoch of the one before.
    EpochNotRaised,
    /// The holder counts from the answer to its renewal, not from its question.
    RenewedFromTheAnswer,
    /// The holder frees the lease and goes on acting.
    ReleasedWhileActing,
    /// A term is begun anew after each lapse, under the same fence.
    TermForgotten,
    /// A leader that is refused takes the lease from whoever holds it.
    OutdoneTakesFromAnyone,
    /// A leader that is refused stays where it is.
    RefusalIgnored,
    /// A new leader believes at once that what it has not heard is lost.
    WarmUpSkipped,
}

impl Settings {
    /// Who leads: a store that answers late or never, clocks that drift, servers that end.
    pub fn leading() -> Self {
        Self {
            times: LeaseTimes { ttl_ms: 3, renew_every_ms: 1, margin_ms: 1 },
            servers: 2,
            nodes: 0,
            router: false,
            decisions: Decisions::None,
            drift: Drift::Bounded,
            messages: 0,
            doubled: false,
            late: 0,
            ends: 1,
            fail_over: false,
            answers: Answers::AnyTime,
            commits: Answers::AtOnce,
            planted: None,
        }
    }

    /// What a leader says, at any later time, to a node, with clocks that have nothing in common, so that both servers
    /// act whenever they like.
    pub fn fencing() -> Self {
        Self {
            times: LeaseTimes { ttl_ms: 1, renew_every_ms: 1, margin_ms: 0 },
            nodes: 1,
            decisions: Decisions::Asked(1),
            drift: Drift::Free,
            messages: 1,
            doubled: true,
            ends: 0,
            answers: Answers::AtOnce,
            ..Self::leading()
        }
    }

    /// What a leader writes, at any later time.
    pub fn committing() -> Self {
        Self { nodes: 0, messages: 0, commits: Answers::AnyTime, late: 1, decisions: Decisions::Asked(2), ..Self::fencing() }
    }

    /// What is said is always the same; who says it ends at any moment, and so does the node.
    pub fn ending() -> Self {
        Self { ends: 1, doubled: false, decisions: Decisions::Asked(0), drift: Drift::None, ..Self::fencing() }
    }

    /// The store loses its last writes once. What leaders say arrives at once; they may still stand still before.
    pub fn forgetful() -> Self {
        Self { fail_over: true, ends: 0, messages: 0, ..Self::ending() }
    }

    /// Two nodes with an app each, and reports that come or do not.
    pub fn warm_up() -> Self {
        Self {
            decisions: Decisions::Moves { lost_after_ms: 2 },
            drift: Drift::None,
            nodes: 0,
            messages: 0,
            times: LeaseTimes { ttl_ms: 2, renew_every_ms: 1, margin_ms: 1 },
            ..Self::fencing()
        }
    }

    /// Other bounds, as in `ends=2 messages=2 router=1`, by hand.
    ///
    /// # Panics
    /// If a word is none of these.
    pub fn widened(mut self, by: &str) -> Self {
        for word in by.split_whitespace() {
            let (name, number) = word.split_once('=').unwrap_or_else(|| panic!("{word} is not NAME=NUMBER"));
            let number: u8 = number.parse().unwrap_or_else(|error| panic!("{word}: {error}"));
            match name {
                "servers" => self.servers = number.into(),
                "ttl" => self.times.ttl_ms = number.into(),
                "margin" => self.times.margin_ms = number.into(),
                "nodes" => self.nodes = number.into(),
                "router" => self.router = number > 0,
                "messages" => self.messages = number.into(),
                "doubled" => self.doubled = number > 0,
                "asked" => self.decisions = Decisions::Asked(number),
                "late" => self.late = number.into(),
                "ends" => self.ends = number,
                "late_answers" => self.answers = if number > 0 { Answers::AnyTime } else { Answers::AtOnce },
                "late_commits" => self.commits = if number > 0 { Answers::AnyTime } else { Answers::AtOnce },
                "fail_over" => self.fail_over = number > 0,
                "free" => self.drift = if number > 0 { Drift::Free } else { Drift::Bounded },
                _ => panic!("{name} is no bound"),
            }
        }
        self
    }

    pub fn with(mut self, planted: Planted) -> Self {
        self.planted = Some(planted);
        self
    }

    pub fn has(&self, planted: Planted) -> bool {
        self.planted == Some(planted)
    }
}
