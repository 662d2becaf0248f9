//! The agent's machines: what a node does about its assignments, and which addresses it may give out.
//!
//! [`converge::Convergence`] takes events (assignments, Docker's list, probe results, finished operations) and
//! returns effects; [`addresses::Addresses`] keeps an address out of use until no router can reach it any more;
//! [`probe::Prober`] turns probe outcomes into health; [`gate::Gate`] refuses leaders that are not the newest;
//! [`images`] chooses the images that may go; [`told::Told`] is what a report still has to say. Time is always the time since the agent started.

pub mod addresses;
pub mod container;
pub mod converge;
pub mod gate;
pub mod images;
pub mod json_size;
pub mod probe;
pub mod told;
mod track;

use std::time::Duration;

pub use container::{Container, ContainerState, ours};
pub use converge::{Action, Convergence, Effect, Event, Found, Observed, Outcome};
pub use gate::Gate;

/// Silence of all leaders after which a crashed container is restarted in place.
pub const LEADERLESS_AFTER: Duration = Duration::from_millis(dinp_common::wire::LEADERLESS_AFTER_MS);
/// The wait before the first restart in place; it doubles with every further one.
pub const RESTART_FIRST: Duration = Duration::from_secs(1);
/// The longest wait between restarts in place, and the time a container must run to count as well again.
pub const RESTART_MAX: Duration = Duration::from_secs(60);
/// Tries of one Docker operation with an unknown or failed outcome before the instance is reported as failed.
pub const TRIES: u32 = 3;
/// The wait before such an operation is tried again; it grows with each try.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The wait before SIGKILL is sent once more to a container that outlived it.
pub const KILL_AGAIN: Duration = Duration::from_secs(5);
/// How long an ended container is reported as it was while its exit is read; from then on as unhealthy, so that routers
/// leave it for others. Docker holds its answer back for 100 ms while it takes the network down.
pub const EXIT_READ_WITHIN: Duration = Duration::from_millis(1);
/// How long a node that has just found running containers holds its first report back for their first probes.
pub const SETTLE: Duration = Duration::from_millis(500);
