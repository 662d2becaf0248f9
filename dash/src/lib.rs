//! The dashboard: pages rendered on the server, for a browser that needs no script to read them.
//!
//! It holds no session and no database. A cookie carries the API's session token, and every page is made of what
//! `/v1` answers to that token, in memory or over TCP alike. The listener that serves it serves `/v1` too.

mod actions;
mod assets;
mod config;
mod guard;
mod live;
mod pages;
mod passing;
mod process;
mod refusal;
mod session;
mod site;
mod view;

pub use config::{Config, DashConfig};
pub use process::run;
pub use site::router;
