//! The instances' own network: a bridge on which they cannot see each other, at a subnet nobody else uses.

mod firewall;
mod subnet;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkInspect};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptions};
use dinp_common::name::{ClusterId, NodeName};
use dinp_daemon::beat;
use dinp_planner::agent::addresses::Range;
use dinp_planner::agent::container::{LABEL_CLUSTER, LABEL_NODE};
use serde::{Deserialize, Serialize};

use crate::engine::{CHANGE_DEADLINE, Engine, EngineError, Lane, READ_DEADLINE};
use crate::state::{NETWORK, StateDir};
pub use firewall::remove as remove_rules;
use subnet::Subnet;

/// How often the network and the rules around it are looked at, and made again where somebody removed them.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Free subnets tried before giving up for now: Docker may refuse one for reasons that no list shows.
const SUBNETS_TRIED: usize = 8;

/// A network that is ready for containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    pub gateway: Ipv4Addr,
    pub range: Range,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    subnet: Subnet,
}

/// Who the network belongs to.
#[derive(Debug, Clone)]
pub struct Owner {
    pub cluster: ClusterId,
    pub node: NodeName,
    pub bridge: String,
    pub host_ports: Vec<u16>,
}

/// Finds the network or makes it, on the subnet kept on disk where that is still free.
///
/// # Errors
/// If Docker fails, no subnet is free, or a network of that name belongs to somebody else.
pub async fn ensure(engine: &Engine, state: &StateDir, owner: &Owner) -> anyhow::Result<Network> {
    let found = engine
        .call(Lane::Read, READ_DEADLINE, |docker| async move {
            docker.inspect_network(&owner.bridge, None::<InspectNetworkOptions>).await
        })
        .await;
    let kept: Option<Kept> = state.read(NETWORK)?;
    let subnet = match found {
        Ok(network) => check(&network, owner)?,
        Err(error) if error.is_missing() => create(engine, owner, kept.as_ref().map(|kept| kept.subnet)).await?,
        Err(error) => return Err(error.into()),
    };
    if kept.is_none_or(|kept| kept.subnet != subnet) {
        state.write(NETWORK, &Kept { subnet })?;
    }
    Ok(Network { gateway: subnet.gateway(), range: subnet.instances() })
}

/// Keeps the host closed to the network's containers: the rules are put in force again and again, since a reload of the
/// host's firewall drops them and tells nobody. A host without iptables goes on without.
pub async fn keep_host_closed(owner: &Owner) {
    keep_closed(LOOK_EVERY, || firewall::apply(&owner.bridge, &owner.host_ports)).await;
}

async fn keep_closed<Closed: Future<Output = anyhow::Result<()>>>(every: Duration, mut close: impl FnMut() -> Closed) {
    let mut said = None;
    loop {
        let open = close().await.err().map(|error| format!("{error:#}"));
        // Said once, not at every try.
        if open != said {
            match &open {
                Some(why) => tracing::warn!("instances can reach services of this host that listen on all addresses: {why}"),
                None => tracing::info!("the host is closed to instances again"),
            }
            said = open;
        }
        tokio::time::sleep_until(beat::within(every)).await;
    }
}

fn check(network: &NetworkInspect, owner: &Owner) -> anyhow::Result<Subnet> {
    let label = |key: &str| network.labels.as_ref().and_then(|labels| labels.get(key)).map(String::as_str);
    ensure!(
        label(LABEL_CLUSTER) == Some(owner.cluster.as_str()) && label(LABEL_NODE) == Some(owner.node.as_str()),
        "a Docker network named {} exists and is not ours; remove it or set another bridge",
        owner.bridge
    );
    let configs = network.ipam.as_ref().and_then(|ipam| ipam.config.as_deref()).unwrap_or_default();
    let subnet = configs.iter().find_map(|config| config.subnet.as_deref());
    subnet.context("Docker names no subnet for our network")?.parse()
}

async fn create(engine: &Engine, owner: &Owner, kept: Option<Subnet>) -> anyhow::Result<Subnet> {
    let networks =
        engine.call(Lane::Read, READ_DEADLINE, |docker| async move { docker.list_networks(None::<ListNetworksOptions>).await });
    let networks = networks.await?;
    let configs = networks.iter().filter_map(|network| network.ipam.as_ref()?.config.as_deref()).flatten();
    let mut taken: Vec<subnet::Block> = configs.filter_map(|config| config.subnet.as_deref()?.parse().ok()).collect();
    taken.extend(subnet::host_routes(&std::fs::read_to_string("/proc/net/route").context("the host's routes cannot be read")?));
    // The second is where systemd-resolved, which stands on loopback itself, keeps those it asks.
    for file in ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"] {
        taken.extend(std::fs::read_to_string(file).map(|text| subnet::name_servers(&text)).unwrap_or_default());
    }

    let mut refused = None;
    for subnet in subnet::free(&taken, kept).take(SUBNETS_TRIED) {
        let request = request(owner, subnet);
        let created =
            engine.call(Lane::Change, CHANGE_DEADLINE, |docker| async move { docker.create_network(request).await }).await;
        match created {
            Ok(_) => {
                tracing::info!(bridge = owner.bridge, %subnet, "the instances' network is made");
                return Ok(subnet);
            }
            Err(error @ EngineError::Answered { status: 403, .. }) => refused = Some(error),
            Err(error) => return Err(error).context("the instances' network cannot be made"),
        }
    }
    match refused {
        Some(error) => Err(error).context("Docker refuses every free subnet for the instances' network"),
        None => bail!("no subnet of 4,096 private addresses is free for the instances' network"),
    }
}

/// Docker hands out addresses itself to containers that ask for none; it gets a corner that we never assign from,
/// because it would give a dead instance's address to the next container at once.
fn request(owner: &Owner, subnet: Subnet) -> NetworkCreateRequest {
    let ipam = IpamConfig {
        subnet: Some(subnet.to_string()),
        ip_range: Some(subnet.dockers_own()),
        gateway: Some(subnet.gateway().to_string()),
        auxiliary_addresses: None,
    };
    let options = [
        ("com.docker.network.bridge.name", owner.bridge.as_str()),
        ("com.docker.network.bridge.enable_icc", "false"),
        ("com.docker.network.bridge.enable_ip_masquerade", "true"),
    ];
    let labels = [(LABEL_CLUSTER, owner.cluster.as_str()), (LABEL_NODE, owner.node.as_str())];
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    NetworkCreateRequest {
        name: owner.bridge.clone(),
        driver: Some("bridge".to_owned()),
        ipam: Some(Ipam { config: Some(vec![ipam]), ..Default::default() }),
        options: Some(HashMap::from(options.map(owned))),
        labels: Some(HashMap::from(labels.map(owned))),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rules_are_put_in_force_again_and_again_whatever_came_of_it() {
        let (mut tries, third) = (0, tokio::sync::Notify::new());
        let looks = keep_closed(Duration::from_millis(1), || {
            tries += 1;
            if tries == 3 {
                third.notify_one();
            }
            std::future::ready(if tries == 2 { Err(anyhow::anyhow!("the second try fails")) } else { Ok(()) })
        });
        tokio::select! {
            () = looks => panic!("it ended"),
            () = third.notified() => {}
            () = tokio::time::sleep(Duration::from_secs(20)) => panic!("no third try"),
        }
    }
}
