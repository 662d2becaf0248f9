//! The vocabulary of DINP: every noun, state and message that two components share.
//!
//! Nothing here reads a clock, a file or a socket. A value that decodes is valid: names, sizes and digests are
//! parsed into newtypes at the door, and states are enums whose impossible combinations cannot be written down.

pub mod api;
pub mod app;
pub mod build;
pub mod deploy;
pub mod digest;
pub mod event;
pub mod exit;
pub mod fence;
pub mod health;
pub mod instance;
pub mod kind;
pub mod limits;
pub mod manifest;
pub mod name;
pub mod node;
pub mod pace;
pub mod placement;
pub mod plan;
pub mod problem;
pub mod rebalance;
pub mod rehearsal;
pub mod release;
pub mod route;
pub mod size;
pub mod token;
pub mod wire;
