//! The lease, its fences and the warm-up, explored whole: every order in which two servers, a store that answers late
//! or never, a network that loses, doubles and reorders, crashes, pauses and drifting clocks can meet.
//!
//! The machines are the server's own: `Lease`, `Fence`, `Gate`, the router's `Applier`, `Observed::freshness`; the
//! shells around them are written here once more, in the steps between which a process may stand still. Wider bounds:
//! `DINP_MODEL="ends=2 messages=2" cargo test --release -p dinp-planner --test model -- --nocapture promises`.

mod explore;
mod form;
mod pass;
mod planted;
mod promises;
mod receiver;
mod server;
mod settings;
mod store;
mod world;
