//! An engine of the test's own, with the sample's image and a network on which addresses can be chosen.

use std::net::Ipv4Addr;
use std::sync::Arc;

use dinp_agent::engine::{Engine, Host};
use dinp_common::digest::Digest;
use dinp_common::name::NodeName;
use dinp_tests::docker::Docker;
use dinp_tests::{engine, sample, sim};

const NETWORK: &str = "dinp-conform";

pub struct Bench {
    real: engine::Engine,
    pub docker: Docker,
    pub image: Digest,
    pub gateway: Ipv4Addr,
}

impl Bench {
    pub async fn start() -> Self {
        let mut real = engine::Engine::prepare();
        real.start().await;
        let docker = real.docker();
        let image = Digest::parse(&docker.import(&sample::binary(), "sample")).expect("a digest");
        let mut bench = Self { real, docker, image, gateway: Ipv4Addr::UNSPECIFIED };
        bench.make_network();
        bench
    }

    /// Docker lets addresses be chosen only where it was told the subnet, and knows best which one is free.
    fn make_network(&mut self) {
        let docker = &self.docker;
        docker.run(&["network", "create", NETWORK]);
        let of = |field: &str| format!("{{{{(index .IPAM.Config 0).{field}}}}}");
        let inspect = |field: &str| docker.run(&["network", "inspect", "--format", &of(field), NETWORK]);
        let (subnet, gateway) = (inspect("Subnet"), inspect("Gateway"));
        docker.run(&["network", "rm", NETWORK]);
        docker.run(&["network", "create", "--subnet", &subnet, "--gateway", &gateway, NETWORK]);
        self.gateway = gateway.parse().expect("an address");
    }

    /// The agent's way to this engine.
    pub fn asked_by_agent(&self) -> Arc<Engine> {
        Arc::new(Engine::new(self.docker.socket.clone().into()))
    }

    pub fn host(&self, node: NodeName) -> Host {
        Host { cluster: sim::names::cluster(), node, bridge: NETWORK.to_owned(), gateway: self.gateway }
    }

    /// A container that is not ours.
    pub fn stranger(&self, name: &str, labels: &[(&str, String)]) {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("--label={key}={value}")).collect();
        let mut arguments = vec!["create", "--name", name, "--network", "none"];
        arguments.extend(labels.iter().map(String::as_str));
        arguments.push("sample");
        self.docker.run(&arguments);
    }

    pub async fn lose_power(&mut self) {
        self.real.lose_power().await;
    }

    pub async fn start_again(&mut self) {
        self.real.start().await;
    }
}

impl Drop for Bench {
    /// An engine leaves its bridges to the machine.
    fn drop(&mut self) {
        for id in self.docker.try_run(&["ps", "-aq"]).unwrap_or_default().lines() {
            let _ = self.docker.try_run(&["rm", "-fv", id]);
        }
        let _ = self.docker.try_run(&["network", "rm", NETWORK]);
    }
}
