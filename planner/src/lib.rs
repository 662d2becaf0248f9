//! Every decision, as pure functions: no clock, no randomness, no I/O, no async.

pub mod agent;
pub mod table;
