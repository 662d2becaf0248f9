//! Artifact to image.
//!
//! A builder claims builds from the server over HTTP, finds out what each artifact is by its content, and puts an
//! image into the local Docker: one new layer on a base. Nothing is unpacked on this machine, nothing a user named
//! reaches a shell, and no build leaves anything but its image.

mod archive;
mod base;
mod build;
mod claim;
mod config;
mod detect;
mod docker;
mod dockerfile;
mod image;
mod recipe;
mod refusal;

pub use base::{Progress, Replacements, base_ensure, base_list, base_make};
pub use build::Workshop;
pub use claim::run;
pub use config::Config;
pub use docker::connect;
pub use refusal::Refusal;
