//! The agent of a node: Docker, probes and logs around the planner's convergence.
//!
//! [`run`] starts these tasks, each with one job: the core (owns the machine and the files on disk), the observer
//! (Docker's list and events), the network, one link per server, image removal, and the node's facts. Effects and
//! probes run as short tasks of their own; every answer comes back to the core as an event. When the agent stops,
//! containers stay as they are.

mod asks;
mod config;
mod core;
pub mod engine;
mod execute;
pub mod exit;
mod facts;
mod images;
mod link;
mod network;
mod observe;
mod probe;
mod purge;
mod run;
mod saver;
mod state;
mod tasks;

pub use config::Config;
pub use purge::purge;
pub use run::run;

/// Points at which a test can kill the agent, each right after the step it names.
pub const FAILPOINTS: &[&str] = &["agent.created", "agent.started", "agent.stopped", "agent.removed"];
