//! The layer-7 router: users' HTTP requests to the instances of apps.
//!
//! What it decides is in pure modules over its own request head ([`head`], [`lookup`], [`balance`], [`eject`], [`retry`],
//! [`headers`], [`limits`], [`frames`], [`pages`], [`log`]). Only `http1` knows hyper. Tables come from a feed through the
//! keeper, which certifies them, hands them to all cores, and confirms.

pub mod balance;
mod clock;
pub mod config;
pub mod control;
mod cores;
pub mod eject;
mod feed;
mod flights;
pub mod frames;
pub mod head;
pub mod headers;
mod http1;
mod keeper;
pub mod limits;
mod listen;
pub mod log;
pub mod lookup;
mod meter;
pub mod pages;
mod privileges;
mod report;
pub mod retry;
mod run;
mod state_dir;

pub use config::Config;
pub use feed::redis_table;
pub use run::{run, run_until_signalled};
