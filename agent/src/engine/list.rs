//! What Docker has: containers, images, and how one container ended.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;

use bollard::models::{ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{
    InspectContainerOptions, KillContainerOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions,
};
use dinp_common::digest::{Digest, Image};
use dinp_common::name::{ClusterId, NodeName};
use dinp_planner::agent::container::{Container, ContainerState, LABEL_CLUSTER, LABEL_NODE, Listed, ours};
use dinp_planner::agent::images::{self, LocalImage};

use super::{CHANGE_DEADLINE, Engine, EngineError, Lane, READ_DEADLINE};

/// The filter that has Docker leave out what is not ours; names are checked on top.
pub fn our_labels(cluster: &ClusterId, node: &NodeName) -> Vec<String> {
    vec![format!("{LABEL_CLUSTER}={cluster}"), format!("{LABEL_NODE}={node}")]
}

impl Engine {
    /// All our containers, running or not.
    pub async fn containers(&self, cluster: &ClusterId, node: &NodeName, bridge: &str) -> Result<Vec<Container>, EngineError> {
        let filters = HashMap::from([("label", our_labels(cluster, node))]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed =
            self.call(Lane::Read, READ_DEADLINE, |docker| async move { docker.list_containers(Some(options)).await }).await?;
        Ok(listed.iter().filter_map(|summary| container(cluster, node, bridge, summary)).collect())
    }

    pub async fn inspect(&self, container: &str) -> Result<ContainerInspectResponse, EngineError> {
        self.call(Lane::Read, READ_DEADLINE, |docker| async move {
            docker.inspect_container(container, None::<InspectContainerOptions>).await
        })
        .await
    }

    pub async fn start(&self, container: &str) -> Result<(), EngineError> {
        self.call(Lane::Change, CHANGE_DEADLINE, |docker| async move { docker.start_container(container, None).await }).await
    }

    pub async fn signal(&self, container: &str, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        self.call(Lane::Change, CHANGE_DEADLINE, |docker| async move { docker.kill_container(container, Some(options)).await })
            .await
    }

    /// Removes a container that does not run, with its anonymous volumes.
    pub async fn remove(&self, container: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().v(true).build();
        self.call(Lane::Change, CHANGE_DEADLINE, |docker| async move { docker.remove_container(container, Some(options)).await })
            .await
    }

    /// The images built for this cluster.
    pub async fn images(&self, cluster: &ClusterId) -> Result<Vec<LocalImage>, EngineError> {
        let filters = HashMap::from([("label", vec![format!("{}={cluster}", images::LABEL_CLUSTER)])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let listed =
            self.call(Lane::Read, READ_DEADLINE, |docker| async move { docker.list_images(Some(options)).await }).await?;
        let local = listed.into_iter().filter_map(|image| {
            Some(LocalImage { id: Digest::parse(&image.id).ok()?, labels: image.labels.into_iter().collect::<BTreeMap<_, _>>() })
        });
        Ok(local.collect())
    }

    /// What a reference or an id means on this engine.
    pub async fn image(&self, reference: &str) -> Result<Image, EngineError> {
        let found = self.call(Lane::Read, READ_DEADLINE, |docker| async move { docker.inspect_image(reference).await }).await?;
        let id = found.id.unwrap_or_default();
        let config = Digest::parse(&id).map_err(|error| EngineError::Unreadable(error.to_string()))?;
        let known = found.repo_digests.unwrap_or_default();
        let manifest = known.iter().find_map(|known| Digest::parse(known.split_once('@')?.1).ok());
        let bytes = found.size.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        Ok(Image { config, manifest, name: reference.to_owned(), bytes })
    }

    /// The images under all containers of this engine, whoever owns them.
    pub async fn images_in_use(&self) -> Result<BTreeSet<Digest>, EngineError> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let listed =
            self.call(Lane::Read, READ_DEADLINE, |docker| async move { docker.list_containers(Some(options)).await }).await?;
        Ok(listed.iter().filter_map(|summary| Digest::parse(summary.image_id.as_deref()?).ok()).collect())
    }

    pub async fn remove_image(&self, id: &Digest) -> Result<(), EngineError> {
        self.call(Lane::Change, CHANGE_DEADLINE, |docker| async move {
            docker.remove_image(id.as_str(), None::<RemoveImageOptions>, None).await
        })
        .await
        .map(drop)
    }
}

fn container(cluster: &ClusterId, node: &NodeName, bridge: &str, summary: &ContainerSummary) -> Option<Container> {
    let listed = Listed { id: summary.id.as_deref()?, names: summary.names.as_deref()?, labels: summary.labels.as_ref()? };
    ours(cluster, node, listed, state(summary.state?), address(bridge, summary))
}

fn state(state: ContainerSummaryStateEnum) -> ContainerState {
    use ContainerSummaryStateEnum as Docker;
    match state {
        Docker::CREATED => ContainerState::Created,
        Docker::RUNNING | Docker::PAUSED | Docker::RESTARTING | Docker::STOPPING => ContainerState::Running,
        Docker::EXITED | Docker::DEAD | Docker::REMOVING | Docker::EMPTY => ContainerState::Exited,
    }
}

/// The address asked for at creation; a stopped container has no other.
fn address(bridge: &str, summary: &ContainerSummary) -> Option<Ipv4Addr> {
    let endpoint = summary.network_settings.as_ref()?.networks.as_ref()?.get(bridge)?;
    let asked = endpoint.ipam_config.as_ref().and_then(|config| config.ipv4_address.as_deref());
    asked.or(endpoint.ip_address.as_deref())?.parse().ok()
}
