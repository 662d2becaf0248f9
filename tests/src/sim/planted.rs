//! Deliberate bugs: one changed decision each, at the seams between the real machines. Every one must be caught by a
//! promise that was there before it.

mod leader;
mod parts;

macro_rules! planted {
    ($($(#[$doc:meta])* $name:ident = $promise:literal),+ $(,)?) => {
        /// A bug, and the beginning of the promise that must catch it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Planted { $($(#[$doc])* $name),+ }

        impl Planted {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }

            /// The promises that may catch it, `|` between them; each is the beginning of one.
            pub fn caught_by(self) -> &'static str {
                match self { $(Self::$name => $promise),+ }
            }
        }
    };
}

planted! {
    /// An upgrade kills the old instances as soon as the new ones are placed.
    WithdrawBeforeProven = "1, 2",
    /// A failed start takes the healthy ones with it.
    FailureKillsAll = "1, 2",
    /// What answers an error is taken for healthy.
    NotOkIsOk = "1, 2",
    /// SIGTERM comes with the withdrawal.
    StopWithoutDrain = "1 ",
    /// Nobody waits for the routers' word.
    DrainNotConfirmed = "1",
    InFlightIgnored = "1 (it drains",
    KillWithoutTerm = "1 (SIGKILL",
    /// Agents stop what only drains.
    DrainIsStop = "13",
    /// Deploys that cannot succeed never fail.
    DeployNeverFails = "2",
    PauseIgnored = "2 (a paused",
    /// All apps are replaced at the cluster's pace.
    PaceIgnored = "2 (no more|1, 2",
    /// A query cut off half-way counts as whole.
    PartialLoad = "3|4|5|1, 2",
    /// Apps that a half-read query leaves out leave the routes.
    PartialApps = "3",
    /// What a node does not mention has ended.
    UnmentionedIsDead = "4|1|9|5|11",
    /// What Docker's list leaves out is gone.
    ListTrusted = "13|5",
    CommitUnfenced = "4 (every",
    GateSkipped = "4 (agents",
    /// The highest fence is kept in memory only.
    GateForgotten = "4 (agents",
    /// Agents take the word of a second holder of the same epoch.
    EqualEpochAccepted = "4 (agents",
    RedisUnfenced = "4 (Redis",
    LeaseWithoutWaiting = "4 (one leader",
    NoWarmUp = "4, 9|5",
    /// A moment of silence loses a node.
    ImpatientWithNodes = "4, 9|11",
    /// One error of Docker loses a node.
    DockerErrorIsLoss = "4, 9",
    ActBeforeStored = "5|4",
    /// A write counts as made before anybody knows.
    UnknownIsDone = "5|4|8|13",
    /// A pass that runs before the next heartbeat starts everything once more.
    StartsForgotten = "5 (nothing is started twice)",
    /// An order that comes late is followed after newer ones, and what was removed lives again.
    OldLevelsCount = "5 (states",
    /// Changes of memory and environment wait for the next image.
    OldSpecRuns = "5",
    CrashesLieAround = "6",
    /// Routers start without what they have kept.
    TableNotRead = "6 (routers",
    /// A Redis that stands still holds up every request.
    StalledRedisStalls = "6 (routers",
    /// An address is free as soon as its container is gone.
    QuarantineSkipped = "7",
    /// Records go before every router has confirmed.
    ForgottenEarly = "13|7",
    TableUncertified = "8",
    ConfirmBeforeKept = "4 (routers|7|8",
    /// Redis is written once and never looked at again.
    RedisTrusted = "8",
    /// Deleted apps keep their routes until nothing of them is left.
    DeletedStaysRouted = "8 (routes follow",
    /// Where nothing is healthy, nothing is routed.
    SickLeaveRoutes = "9",
    /// What is unhealthy is killed at once, all of it in one pass.
    SickAreDead = "9|1, 2",
    /// One hung Docker stops the scheduling for everybody.
    HungDockerStopsAll = "10 (nobody|12",
    /// A field of somebody else's in Redis ends every router.
    JunkEndsRouters = "10 (nothing",
    /// Where not all have room, none is started.
    AllOrNothing = "10 (nobody|12",
    NoBrake = "11",
    NoBackOff = "12",
    /// The second crash already waits a minute.
    HealsLate = "12 (a good",
    /// Labels alone make a container ours.
    ForeignRemoved = "13 (only",
    /// What nobody has a record of is removed.
    OrphansRemoved = "13 (nothing",
    /// Nobody removes what has ended.
    ExitedStay = "13|rest",
    /// A deleted app's records go at once, and its containers stay.
    DeletedForgotten = "13",
    ReasonsLost = "14",
    TimeUnbounded = "16",
    /// What is still stopping takes no memory.
    MemoryFreedEarly = "reservations",
    CordonIgnored = "placement (a cordoned",
    PlacementIgnored = "placement (only",
    /// More than wanted: any of them goes.
    ExcessAtRandom = "section 6",
    /// What a deploy starts is too much in the very next pass.
    StartsTakenBack = "rest (what is started",
    /// What is to move leaves as soon as its successor is placed.
    MovedBeforeProven = "1, 2",
    /// A move that changes nothing is as good as any other.
    MovesForNothing = "balance (a move helps|rest",
    /// A leader does not record what it moves.
    MovesForgotten = "balance|5|rest|4, 9",
    /// What is gone is never forgotten.
    NeverForgotten = "rest",
}

impl Planted {
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|bug| bug.name().eq_ignore_ascii_case(name))
    }

    pub fn is_caught_by(self, promise: &str) -> bool {
        self.caught_by().split('|').any(|beginning| promise.starts_with(beginning))
    }
}
