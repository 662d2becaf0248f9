//! Everything that can happen, as it stands in the queue.
//!
//! What concerns a process names its life: an event of an earlier one is void.

use std::rc::Rc;

use dinp_common::build::BuildId;
use dinp_common::fence::{Fence, LeaseRow};
use dinp_common::instance::InstanceId;
use dinp_common::name::RouterId;
use dinp_common::plan::{Change, Desired};
use dinp_common::release::RunSpec;
use dinp_common::route::{RouteUpdate, RouterStatus, TableCert};
use dinp_common::wire::{Assignments, Hello, Report};
use dinp_planner::agent::addresses::Addresses;
use dinp_planner::agent::{Container, Found};

use super::docker::{Answer, Call, News};
use super::faults::Mend;
use super::invariants::Later;
use super::kernel::Ms;
use super::server::PassData;
use super::store::Fenced;

#[derive(Clone)]
pub enum Event {
    Server(usize, u32, ServerEvent),
    Node(usize, u32, NodeEvent),
    /// The engine of a node, which outlives its agent.
    Docker(usize, u32, DockerEvent),
    Router(usize, u32, RouterEvent),
    Store(StoreCall),
    Redis(RedisCall),
    /// Somebody wants something.
    People,
    /// A builder is done with what has to be built first.
    Built(BuildId, Box<RunSpec>),
    Fault,
    Mend(Mend),
    /// A promise about what comes after something.
    Later(Later),
    /// The faults are over.
    Calm,
    /// It should be at rest by now, or soon.
    Rest,
}

#[derive(Clone)]
pub enum ServerEvent {
    /// Time to look at the lease.
    Look,
    /// Time for a pass, if nothing has called for one since.
    Wake(u64),
    Answered {
        call: u64,
        answer: StoreAnswer,
    },
    RedisAnswered {
        call: u64,
        answer: RedisAnswer,
    },
    /// Redis has had its time.
    RedisLate(u64),
    Hello {
        node: usize,
        link: u64,
        hello: Box<Hello>,
    },
    Report {
        node: usize,
        link: u64,
        report: Box<Report>,
    },
    /// An agent has refused an assignment, and says the highest epoch it has seen.
    Refused {
        node: usize,
        link: u64,
        epoch: u64,
    },
    Ping {
        node: usize,
        link: u64,
    },
    /// A message that arrived in part.
    Unreadable {
        node: usize,
        link: u64,
    },
    Status(RouterStatus),
    Goodbye(RouterId),
    ReadKeys,
}

impl Event {
    /// What a message between an agent and a server becomes that arrives in part: whoever reads it ends the connection.
    pub fn cut_short(self) -> Self {
        match self {
            Self::Server(s, life, event) => Self::Server(s, life, event.cut_short()),
            Self::Node(
                n,
                life,
                NodeEvent::Welcome { server, link } | NodeEvent::Assign { server, link, .. } | NodeEvent::Pong { server, link },
            ) => Self::Node(n, life, NodeEvent::Unreadable { server, link }),
            other => other,
        }
    }
}

impl ServerEvent {
    fn cut_short(self) -> Self {
        match self {
            Self::Hello { node, link, .. }
            | Self::Report { node, link, .. }
            | Self::Refused { node, link, .. }
            | Self::Ping { node, link } => Self::Unreadable { node, link },
            other => other,
        }
    }
}

#[derive(Clone)]
pub enum NodeEvent {
    Connect {
        server: usize,
        attempt: u64,
    },
    /// The server has had its time to welcome.
    Unwelcome {
        server: usize,
        link: u64,
    },
    Welcome {
        server: usize,
        link: u64,
    },
    Assign {
        server: usize,
        link: u64,
        assignments: Rc<Assignments>,
    },
    Pong {
        server: usize,
        link: u64,
    },
    Closed {
        server: usize,
        link: u64,
    },
    /// A message that arrived in part.
    Unreadable {
        server: usize,
        link: u64,
    },
    Beat {
        server: usize,
        link: u64,
    },
    PingDue {
        server: usize,
        link: u64,
    },
    /// The gate is on disk; then the assignment counts.
    GateWritten {
        server: usize,
        link: u64,
        assignments: Rc<Assignments>,
    },
    TableWritten(u64, Box<Addresses>),
    LevelWritten(u64, Rc<Assignments>),
    /// A disk that took nothing is tried again.
    WriteAgain,
    Tick(u64),
    Dies,
    List(u64),
    Listed {
        since: u64,
        containers: Result<Vec<Container>, &'static str>,
    },
    Network,
    News(News),
    Answered {
        operation: u64,
        answer: Answer,
    },
    OperationLate(u64),
    /// The address table has had its time to reach the disk.
    StartLate(u64),
    Examined {
        instance: InstanceId,
        found: Found,
    },
    Probe {
        instance: InstanceId,
        probe: u64,
    },
}

#[derive(Clone)]
pub enum DockerEvent {
    Perform {
        operation: u64,
        agent: u32,
        call: Call,
        fate: CallFate,
    },
    /// A container ends by itself, if it is still the same run.
    Ends {
        container: String,
        run: u32,
        code: i64,
    },
}

/// What becomes of one call on Docker, drawn when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallFate {
    Well,
    /// An error, and nothing was done.
    Fails,
    /// An error after it was done.
    FailsAfter,
    /// No answer in time; it is done all the same.
    Silent,
    /// No answer, and nothing was done.
    Swallowed,
}

#[derive(Clone)]
pub enum RouterEvent {
    Poll,
    /// A change that was announced, or the whole table as it was read.
    Offer {
        update: Rc<RouteUpdate>,
        read: bool,
    },
    /// The table is on disk, or is not.
    Kept,
    Dies,
    Report(u64),
    Visit,
    FlightEnds(InstanceId),
}

#[derive(Clone)]
pub struct StoreCall {
    pub server: usize,
    pub life: u32,
    pub call: u64,
    pub sent: Ms,
    pub op: StoreOp,
    pub fate: CallFate,
    /// It waits for nobody any more: its transaction holds the lease's row.
    pub holds_lock: bool,
}

#[derive(Clone)]
pub enum StoreOp {
    Read,
    Take { seen: LeaseRow, holder: String, at_least: u64 },
    Renew(Fence),
    Load,
    Commit { fence: Fence, changes: Rc<Vec<Change>>, data: Rc<PassData> },
}

#[derive(Clone)]
pub enum StoreAnswer {
    Row(LeaseRow),
    Taken(Option<Fence>),
    Renewed(bool),
    Loaded(Box<Desired>),
    Committed(Result<(), Fenced>),
    /// Nobody knows what became of it.
    Failed(&'static str),
}

#[derive(Clone)]
pub struct RedisCall {
    pub server: usize,
    pub life: u32,
    pub call: u64,
    pub op: RedisOp,
}

#[derive(Clone)]
pub enum RedisOp {
    Apply(Rc<RouteUpdate>),
    Verify(TableCert),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisAnswer {
    Ok,
    Gap,
    /// It has seen this epoch, above or beside ours.
    Older(u64),
    Foreign,
    Verified(bool),
}
