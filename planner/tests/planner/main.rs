//! The leader's promises to users, on a small world: scenarios to read, and properties over random histories.

mod outage;
mod properties;
mod refused;
mod removed;
mod scenarios;
mod script;
mod timeline;
mod unrecorded;
mod world;
