//! An API made of the shapes of `/v1` with nothing behind it: apps that change as if they were deployed.
//!
//! It answers the pages' tests and `examples/preview.rs`. Nothing here decides anything the real server decides.

#![allow(dead_code)]

mod api;
mod world;

pub use api::router;
pub use world::{Pace, World};
