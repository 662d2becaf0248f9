//! What the tests of more than one file begin with.

use std::collections::BTreeMap;

use dinp_common::node::{Capacity, NodeFacts};
use dinp_common::size::MiB;

/// A node with some room, whose Docker answers.
pub(crate) fn facts() -> NodeFacts {
    NodeFacts {
        capacity: Capacity { memory: MiB(1024), cpus: 2, addresses: 10 },
        labels: BTreeMap::new(),
        zone: String::new(),
        version: "1".into(),
        docker: Ok("20".into()),
        disk_free: 1,
        disk_total: 2,
    }
}
