//! What each process needs besides its job: configuration, telemetry, shutdown, nudges, and an admin address.

pub mod admin;
pub mod beat;
pub mod config;
pub mod failpoint;
pub mod files;
pub mod http;
pub mod nudge;
pub mod shutdown;
pub mod telemetry;

pub use nudge::Nudge;
