//! Removes everything a node's agent made on its machine. Works without the agent's files.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use bollard::query_parameters::{InspectNetworkOptions, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder};
use dinp_common::name::{ClusterId, NodeName};
use dinp_planner::agent::container::{LABEL_CLUSTER, LABEL_NODE};

use crate::engine::{CHANGE_DEADLINE, Engine, EngineError, Lane, READ_DEADLINE};
use crate::network::remove_rules;

/// Removes the containers, the network, the images and the firewall rules that belong to this node, and returns what
/// it removed, one line each. Whose they are is read from the network's labels, so no state file is needed; where the
/// network is gone, only rules are removed. A network of that name that is not ours is left alone.
///
/// # Errors
/// If Docker fails.
pub async fn purge(docker: &Path, node: &NodeName, bridge: &str) -> anyhow::Result<Vec<String>> {
    let engine = Engine::new(docker.to_owned());
    let mut removed = Vec::new();
    let found =
        engine
            .call(Lane::Read, READ_DEADLINE, |docker| async move {
                docker.inspect_network(bridge, None::<InspectNetworkOptions>).await
            })
            .await;
    let labels = match found {
        Ok(network) => network.labels.unwrap_or_default(),
        Err(error) if error.is_missing() => HashMap::new(),
        Err(error) => return Err(error.into()),
    };
    let ours = labels.get(LABEL_NODE).map(String::as_str) == Some(node.as_str());
    if let Some(cluster) = labels.get(LABEL_CLUSTER).filter(|_| ours) {
        let cluster = ClusterId::parse(cluster)?;
        containers(&engine, &cluster, node, bridge, &mut removed).await?;
        engine
            .call(Lane::Change, CHANGE_DEADLINE, |docker| async move { docker.remove_network(bridge).await })
            .await
            .with_context(|| format!("the network {bridge} cannot be removed"))?;
        removed.push(format!("network {bridge}"));
        images(&engine, &cluster, &mut removed).await?;
    }
    if remove_rules(bridge).await {
        removed.push(format!("firewall rules of {bridge}"));
    }
    Ok(removed)
}

async fn containers(
    engine: &Engine,
    cluster: &ClusterId,
    node: &NodeName,
    bridge: &str,
    removed: &mut Vec<String>,
) -> anyhow::Result<()> {
    for container in engine.containers(cluster, node, bridge).await? {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let id = container.id.as_str();
        let gone = engine
            .call(Lane::Change, CHANGE_DEADLINE, |docker| async move { docker.remove_container(id, Some(options)).await })
            .await;
        // A removal that the agent began may end between the list and here.
        if !gone.as_ref().is_err_and(EngineError::is_missing) {
            gone.with_context(|| format!("the container {} cannot be removed", container.name()))?;
        }
        removed.push(format!("container {}", container.name()));
    }
    Ok(())
}

async fn images(engine: &Engine, cluster: &ClusterId, removed: &mut Vec<String>) -> anyhow::Result<()> {
    let used = engine.images_in_use().await?;
    for image in engine.images(cluster).await?.into_iter().filter(|image| !used.contains(&image.id)) {
        let options = RemoveImageOptionsBuilder::default().force(true).build();
        let id = image.id.as_str();
        engine
            .call(Lane::Change, CHANGE_DEADLINE, |docker| async move { docker.remove_image(id, Some(options), None).await })
            .await
            .with_context(|| format!("the image {id} cannot be removed"))?;
        removed.push(format!("image {}", image.id.short()));
    }
    Ok(())
}
