//! An assignment as the container Docker is asked for.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig, NetworkingConfig, RestartPolicy,
    RestartPolicyNameEnum,
};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use dinp_common::instance::container_name;
use dinp_common::name::{ClusterId, NodeName};
use dinp_common::wire::Assignment;
use dinp_planner::agent::container::{LABEL_APP, LABEL_CLUSTER, LABEL_INSTANCE, LABEL_NODE, LABEL_RELEASE};

use super::{CHANGE_DEADLINE, Engine, EngineError, Lane};

/// Processes and threads an instance may have: enough for a JVM, too few for a fork bomb.
const PIDS: i64 = 512;
/// What an instance weighs that asked for no processor time; where nobody asks, all weigh the same.
const CPU_SHARES: i64 = 128;
/// What a whole processor weighs for those that asked, in Docker's own measure: they go before the others when time is short.
const CPU_SHARES_EACH: i64 = 1024;
/// Docker rotates an instance's output at this size and keeps two files.
const LOG_FILE_SIZE: &str = "10m";
const LOG_FILES: &str = "2";

/// What a container learns of the node it runs on.
#[derive(Debug, Clone)]
pub struct Host {
    pub cluster: ClusterId,
    pub node: NodeName,
    pub bridge: String,
    /// The host on the instances' network.
    pub gateway: Ipv4Addr,
}

impl Engine {
    /// Creates the container of an assignment and returns its id.
    pub async fn create(&self, host: &Host, wanted: &Assignment, address: Ipv4Addr) -> Result<String, EngineError> {
        let options = CreateContainerOptionsBuilder::default().name(&container_name(&wanted.app, &wanted.instance)).build();
        let body = body(host, wanted, address);
        let created =
            self.call(Lane::Change, CHANGE_DEADLINE, |docker| async move { docker.create_container(Some(options), body).await });
        Ok(created.await?.id)
    }
}

fn body(host: &Host, wanted: &Assignment, address: Ipv4Addr) -> ContainerCreateBody {
    let name = container_name(&wanted.app, &wanted.instance);
    let endpoint = EndpointSettings {
        ipam_config: Some(EndpointIpamConfig { ipv4_address: Some(address.to_string()), ..Default::default() }),
        ..Default::default()
    };
    // A command of the release replaces all of the image's: entry point and arguments.
    let entrypoint = wanted.spec.command.as_ref().map(|command| command.iter().take(1).cloned().collect());
    let cmd = wanted.spec.command.as_ref().map(|command| command.iter().skip(1).cloned().collect());
    ContainerCreateBody {
        hostname: Some(name),
        image: Some(wanted.spec.image.config.to_string()),
        env: Some(environment(host, wanted)),
        entrypoint,
        cmd,
        labels: Some(labels(host, wanted)),
        stop_signal: Some("SIGTERM".to_owned()),
        host_config: Some(limits(host, wanted)),
        networking_config: Some(NetworkingConfig { endpoints_config: Some(HashMap::from([(host.bridge.clone(), endpoint)])) }),
        ..Default::default()
    }
}

/// No capabilities, no new privileges, no host paths; bounded memory, processes and logs. Swap is no more memory.
fn limits(host: &Host, wanted: &Assignment) -> HostConfig {
    let memory = i64::try_from(wanted.spec.memory.bytes()).unwrap_or(i64::MAX);
    let log = [("max-size", LOG_FILE_SIZE), ("max-file", LOG_FILES)].map(|(key, value)| (key.to_owned(), value.to_owned()));
    HostConfig {
        network_mode: Some(host.bridge.clone()),
        memory: Some(memory),
        memory_swap: Some(memory),
        cpu_shares: Some(wanted.spec.cpu.map_or(CPU_SHARES, |cpu| (i64::from(cpu.0) * CPU_SHARES_EACH / 1_000).max(2))),
        pids_limit: Some(PIDS),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
        log_config: Some(HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(log.into()) }),
        ..Default::default()
    }
}

fn labels(host: &Host, wanted: &Assignment) -> HashMap<String, String> {
    HashMap::from([
        (LABEL_APP.to_owned(), wanted.app.to_string()),
        (LABEL_INSTANCE.to_owned(), wanted.instance.to_string()),
        (LABEL_RELEASE.to_owned(), wanted.release.to_string()),
        (LABEL_NODE.to_owned(), host.node.to_string()),
        (LABEL_CLUSTER.to_owned(), host.cluster.to_string()),
    ])
}

/// The release's environment, then the platform's own variables, which nobody can set.
fn environment(host: &Host, wanted: &Assignment) -> Vec<String> {
    let platform = [
        ("PORT", wanted.spec.port.to_string()),
        ("APP_NAME", wanted.app.to_string()),
        ("INSTANCE_ID", wanted.instance.to_string()),
        ("INSTANCE_INDEX", wanted.index.to_string()),
        ("NODE_NAME", host.node.to_string()),
        ("HOST_IP", host.gateway.to_string()),
        ("RELEASE", wanted.release.to_string()),
    ];
    let release = wanted.spec.env.iter().map(|(key, value)| format!("{key}={}", value.value));
    release.chain(platform.iter().map(|(key, value)| format!("{key}={value}"))).collect()
}
