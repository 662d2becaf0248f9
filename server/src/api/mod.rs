//! The HTTP API: every handler, and what happens to every request.
//!
//! A request passes, from the outside in: its id and log line, the problem mapper, the panic guard, authorization
//! (deny by default, [`crate::auth::access`]), the idempotency key, its handler.

mod agent;
mod apps;
mod artifacts;
mod bases;
mod builder;
mod builds;
mod changes;
pub(crate) mod clock;
mod deploys;
mod env;
mod events;
mod extract;
mod guard;
mod hold;
mod idempotency;
mod layers;
mod logs;
mod nearest;
mod nodes;
mod page;
mod problem;
mod rebalance;
mod refusal;
mod rehearsal;
mod releases;
mod routes;
mod sessions;
mod state;
mod stream;
mod system;
mod tokens;
mod under_way;
mod validate;
mod watch;

pub use routes::{document, router};
pub use state::{ApiConfig, AppState};

#[cfg(test)]
mod tests;
