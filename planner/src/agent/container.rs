//! Which containers are ours, and what Docker says of them.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use dinp_common::instance::{InstanceId, container_name};
use dinp_common::name::{AppName, ClusterId, NodeName};
use dinp_common::release::ReleaseNo;

pub const LABEL_APP: &str = "dinp.app";
pub const LABEL_INSTANCE: &str = "dinp.instance";
pub const LABEL_RELEASE: &str = "dinp.release";
pub const LABEL_NODE: &str = "dinp.node";
pub const LABEL_CLUSTER: &str = "dinp.cluster";

/// A container of this cluster and node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Docker's id: effects use it, since a name can pass to another container.
    pub id: String,
    pub app: AppName,
    pub instance: InstanceId,
    pub release: ReleaseNo,
    pub state: ContainerState,
    /// The address it was created with.
    pub address: Option<Ipv4Addr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its process exists; it may be paused.
    Running,
    Exited,
}

impl Container {
    pub fn name(&self) -> String {
        container_name(&self.app, &self.instance)
    }
}

/// Reads a listed container; `None` unless its cluster, node and instance labels match and its name agrees with them.
/// Labels alone prove nothing: a container inherits those of its image.
pub fn ours(
    cluster: &ClusterId,
    node: &NodeName,
    listed: Listed<'_>,
    state: ContainerState,
    address: Option<Ipv4Addr>,
) -> Option<Container> {
    let label = |key: &str| listed.labels.get(key).map(String::as_str);
    if label(LABEL_CLUSTER) != Some(cluster.as_str()) || label(LABEL_NODE) != Some(node.as_str()) {
        return None;
    }
    let app = AppName::parse(label(LABEL_APP)?).ok()?;
    let instance = InstanceId::parse(label(LABEL_INSTANCE)?).ok()?;
    let release = label(LABEL_RELEASE)?.parse().ok()?;
    let name = container_name(&app, &instance);
    let agrees = listed.names.iter().any(|listed| listed.trim_start_matches('/') == name);
    agrees.then(|| Container { id: listed.id.to_owned(), app, instance, release, state, address })
}

/// What Docker's list says that names a container.
#[derive(Debug, Clone, Copy)]
pub struct Listed<'a> {
    pub id: &'a str,
    pub names: &'a [String],
    pub labels: &'a HashMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut HashMap<String, String>, &mut Vec<String>)) -> bool {
        let mut labels: HashMap<String, String> = [
            (LABEL_APP, "shop"),
            (LABEL_INSTANCE, "abc123"),
            (LABEL_RELEASE, "v2"),
            (LABEL_NODE, "node1"),
            (LABEL_CLUSTER, "cl"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        let mut names = vec!["/dinp-shop-abc123".to_owned()];
        change(&mut labels, &mut names);
        let (cluster, node) = (ClusterId::parse("cl").expect("cluster"), NodeName::parse("node1").expect("node"));
        ours(&cluster, &node, Listed { id: "x", names: &names, labels: &labels }, ContainerState::Running, None).is_some()
    }

    #[test]
    fn only_what_is_labelled_and_named_ours_is_ours() {
        assert!(check(|_, _| {}));
        assert!(!check(|_, names| names[0] = "/dinp-shop-abc124".to_owned()), "another name");
        assert!(!check(|_, names| names[0] = "/shop".to_owned()), "a user's name on our labels");
        for key in [LABEL_APP, LABEL_INSTANCE, LABEL_RELEASE, LABEL_NODE, LABEL_CLUSTER] {
            assert!(!check(|labels, _| drop(labels.remove(key))), "without {key}");
        }
        assert!(!check(|labels, _| drop(labels.insert(LABEL_CLUSTER.into(), "other".into()))), "another cluster");
        assert!(!check(|labels, _| drop(labels.insert(LABEL_NODE.into(), "node2".into()))), "another node's");
    }
}
