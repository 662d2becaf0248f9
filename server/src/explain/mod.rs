//! What is decided and what is seen, as people read it: status words and sentences. Pure, and all of it golden text.

mod app;
mod build;
mod deploy;
mod instance;
mod node;
mod rebalance;
mod release;
mod why;

pub use app::{app_detail, app_view, still};
pub use build::build_view;
pub use deploy::{Told, deploy_view};
pub use instance::{instance_state, instance_view, instances_of};
pub use node::{drain_view, node_detail, node_view, used_as};
pub use rebalance::rebalance_view;
pub use release::{env_view, release_view};
pub use why::why_view;

/// `1 instance`, `2 instances`.
fn count(n: u32, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
