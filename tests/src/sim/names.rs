//! The names of everything in a simulated cluster.

use dinp_common::name::{AppName, ClusterId, Host, NodeName, RouterId};

pub fn cluster() -> ClusterId {
    ClusterId::parse("sim").expect("a cluster's name")
}

pub fn domain() -> Host {
    Host::parse("localhost").expect("a host's name")
}

pub fn app(number: usize) -> AppName {
    AppName::parse(&format!("app{number:03}")).expect("an app's name")
}

pub fn node(number: usize) -> NodeName {
    NodeName::parse(&format!("node{number:02}")).expect("a node's name")
}

pub fn router(number: u64) -> RouterId {
    RouterId::parse(&format!("router{number:02}")).expect("a router's name")
}

/// The number in a name of ours.
pub fn number(name: &str) -> usize {
    name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().expect("it ends in a number")
}
