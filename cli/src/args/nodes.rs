//! What can be asked about nodes.

use clap::{Args, Subcommand};
use dinp_common::name::NodeName;

use super::Wait;

#[derive(Debug, Args)]
pub struct Nodes {
    #[command(subcommand)]
    pub command: Option<NodesCommand>,
}

#[derive(Debug, Subcommand)]
pub enum NodesCommand {
    /// List the nodes
    List,
    /// Show one node: what it has, what stands on it, and why it is as it is
    Show {
        #[arg(value_parser = NodeName::parse)]
        node: NodeName,
    },
    /// Place nothing new on a node; what runs there stays
    Cordon {
        #[arg(value_parser = NodeName::parse)]
        node: NodeName,
    },
    /// Let new instances on a node again, and cancel its drain
    Uncordon {
        #[arg(value_parser = NodeName::parse)]
        node: NodeName,
    },
    /// Move everything off a node, each instance only when another serves in its place
    ///
    /// Where no other node can take what is left it says so and ends with exit code 8; the drain goes on by itself when
    /// one can. With --timeout it waits that long for one.
    Drain {
        #[arg(value_parser = NodeName::parse)]
        node: NodeName,
        /// Print what would move and what would stay, and change nothing
        #[arg(long, conflicts_with_all = ["no_wait", "timeout"])]
        dry_run: bool,
        #[command(flatten)]
        wait: Wait,
    },
    /// Move instances from crowded nodes to emptier ones, each only when another serves in its place
    ///
    /// A few move at a time, and only where that clearly improves the balance; it ends by itself when no move does.
    Rebalance {
        /// Print what would move, from where to where and why, and change nothing
        #[arg(long, conflicts_with_all = ["no_wait", "timeout"])]
        dry_run: bool,
        /// End the one that goes on; what has moved stays
        #[arg(long, conflicts_with_all = ["dry_run", "no_wait", "timeout"])]
        cancel: bool,
        #[command(flatten)]
        wait: Wait,
    },
}
