//! What a node is made of: names, addresses, what it is assigned, and strangers on its engine.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use dinp_common::digest::{Digest, Image};
use dinp_common::health::HealthCheck;
use dinp_common::instance::{InstanceId, Want, container_name};
use dinp_common::name::{AppName, NodeName};
use dinp_common::release::{ReleaseNo, RunSpec};
use dinp_common::size::MiB;
use dinp_common::wire::Assignment;
use dinp_planner::agent::container::{LABEL_APP, LABEL_CLUSTER, LABEL_INSTANCE, LABEL_NODE, LABEL_RELEASE};
use dinp_tests::sim::docker::Behaviour;
use dinp_tests::sim::names;

/// Instances and addresses of a node; few, so that they meet.
pub const INSTANCES: u64 = 4;
pub const ADDRESSES: u64 = 2;
pub const PORT: u16 = 8080;
/// Addresses below are the gateway's and Docker's own.
const FIRST: u32 = 16;

pub struct Node {
    pub name: NodeName,
    app: AppName,
    first: u32,
}

impl Node {
    pub fn new(number: u64, gateway: Ipv4Addr) -> Self {
        let app = AppName::parse(&format!("app{number}")).expect("a name");
        let first = u32::from(gateway) + FIRST + (number * ADDRESSES) as u32;
        Self { name: names::node(number as usize), app, first }
    }

    pub fn address(&self, n: u64) -> Ipv4Addr {
        Ipv4Addr::from(self.first + n as u32)
    }

    /// An instance of the sample, or of an image that behaves as simulated.
    pub fn assignment(&self, instance: &InstanceId, sample: &Digest, behaviour: Behaviour) -> Assignment {
        let missing = behaviour == Behaviour::Missing;
        let config = if missing { Digest::from_sha256([9; 32]) } else { sample.clone() };
        let command = (behaviour == Behaviour::Unstartable).then(|| vec!["/nowhere".to_owned()]);
        Assignment {
            instance: instance.clone(),
            app: self.app.clone(),
            release: ReleaseNo(3),
            index: 0,
            want: Want::Run,
            spec: RunSpec {
                image: Image { config, manifest: None, name: "sample".to_owned(), bytes: 0 },
                env: BTreeMap::new(),
                memory: MiB(64),
                cpu: None,
                placement: Default::default(),
                port: PORT,
                health: HealthCheck::Tcp,
                command,
                stop_grace_seconds: 10,
            },
        }
    }

    /// Containers that are nobody's business of ours, or only look as if they were: the last one has a name we want.
    pub fn strangers(&self) -> Vec<(String, Vec<(&'static str, String)>)> {
        let taken = InstanceId::from_sequence(INSTANCES);
        let labels = |cluster: &str, node: &str| {
            vec![
                (LABEL_CLUSTER, cluster.to_owned()),
                (LABEL_NODE, node.to_owned()),
                (LABEL_APP, self.app.to_string()),
                (LABEL_INSTANCE, taken.to_string()),
                (LABEL_RELEASE, "v1".to_owned()),
            ]
        };
        let (cluster, node) = (names::cluster().to_string(), self.name.to_string());
        vec![
            (format!("{node}-database"), Vec::new()),
            (format!("{node}-copied"), labels(&cluster, &node)),
            (format!("{node}-elsewhere"), labels(&cluster, "elsewhere")),
            (container_name(&self.app, &taken), labels("other", &node)),
        ]
    }
}
