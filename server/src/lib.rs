//! The server: the API, the view of the cluster, the leader's loop, agents' connections and the route feed.

pub mod agents;
pub mod api;
pub mod artifacts;
pub mod auth;
mod builds;
pub mod cluster;
pub mod config;
mod explain;
pub mod feed;
mod lead;
mod meter;
mod ready;
pub mod reconcile;
mod room;
pub mod run;
mod spec;
mod view;

pub use config::Config;
pub use run::{Running, run, start};
