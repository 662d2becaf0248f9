//! Every decision, as pure functions: no clock, no randomness, no I/O, no async.
//!
//! One pass of a leader is [`plan::plan`]; [`apply::apply`] is what its changes do; [`routes::routes`] and
//! [`assign::assignments`] follow from the result. [`term::Term`] strings passes together; [`table`] certifies routes,
//! [`lease`] says who may lead, [`reports`] merges what a node says, and [`agent`] holds the machines an agent runs by.

pub mod agent;
pub mod apply;
pub mod assign;
pub mod bucket;
mod cause;
mod drain;
#[cfg(test)]
mod fixture;
pub mod lease;
mod mix;
pub mod observed;
pub mod placement;
pub mod plan;
pub mod policy;
pub mod preview;
pub mod promises;
mod rebalance;
mod refused;
pub mod reported;
pub mod reports;
mod rollout;
pub mod routes;
mod standing;
pub mod steadiness;
pub mod steps;
pub mod table;
pub mod term;
