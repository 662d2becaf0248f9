//! Containers that are nobody's business of ours, and only look as if they were.

use dinp_planner::agent::ContainerState;
use dinp_planner::agent::container::{LABEL_APP, LABEL_CLUSTER, LABEL_INSTANCE, LABEL_NODE, LABEL_RELEASE};

use crate::sim::names;
use crate::sim::world::World;

impl World {
    /// What is not ours, some of it with our labels on it.
    pub(in crate::sim) fn add_foreign(&mut self, n: usize) {
        let node = names::node(n).to_string();
        let cluster = names::cluster().to_string();
        let full = |cluster: &str, node: &str| {
            vec![
                (LABEL_CLUSTER, cluster.to_owned()),
                (LABEL_NODE, node.to_owned()),
                (LABEL_APP, "app000".to_owned()),
                (LABEL_INSTANCE, "zzzzzz".to_owned()),
                (LABEL_RELEASE, "v1".to_owned()),
            ]
        };
        self.docker[n].add_foreign("postgres", &[], 0);
        self.docker[n].add_foreign("copied-from-an-image", &full(&cluster, &node), 0);
        self.docker[n].add_foreign("dinp-app000-zzzzzz", &full("other", &node), 0);
        self.docker[n].add_foreign("dinp-app000-zzzzzy", &full(&cluster, "elsewhere"), 0);
        debug_assert!(self.docker[n].boxes.values().all(|found| found.state == ContainerState::Running));
    }
}
