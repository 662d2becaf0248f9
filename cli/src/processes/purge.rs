//! `dinp up --purge`: nothing of this installation is left, and nothing of anybody else is touched.
//!
//! It reads two small text files and Docker's labels, never the state itself, so a damaged state is no obstacle.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, RemoveVolumeOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use dinp_common::name::ClusterId;

use super::layout::Layout;
use super::settings::Settings;
use super::{login, stop, systemd};

/// On every container and network of ours.
const LABEL: &str = "dinp.cluster";
/// On every image of ours. Containers that somebody starts from one inherit it, so it says nothing about containers.
const IMAGE_LABEL: &str = "dinp.image.cluster";
/// Seconds for any one answer of Docker: removing a large image takes a few.
const DOCKER_SECONDS: u64 = 60;

pub fn run(layout: &Layout) -> Result<()> {
    if !layout.state.exists() && !layout.run.exists() {
        println!("nothing is at {}", layout.state.display());
        return Ok(());
    }
    stop::all(layout, &mut |line| println!("{line}"))?;
    // A damaged file means the defaults: the usual socket and address.
    let settings = Settings::load(layout).ok().flatten().unwrap_or_default();
    match cluster(layout) {
        Some(cluster) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(clean_docker(&settings, &cluster))?;
        }
        None => println!("it never had a cluster, so Docker holds nothing of it"),
    }
    remove_firewall(&layout.bridge());
    login::forget(&settings.panel_url())?;
    if systemd::runs_here(layout) {
        systemd::remove()?;
    }
    for folder in [&layout.run, &layout.state] {
        remove(folder)?;
    }
    Ok(())
}

/// The cluster's name from its file, or from what the agent remembers.
fn cluster(layout: &Layout) -> Option<ClusterId> {
    ClusterId::parse(fs::read_to_string(layout.cluster()).ok()?.trim()).ok()
}

async fn clean_docker(settings: &Settings, cluster: &ClusterId) -> Result<()> {
    let there = "Docker must answer, or what it holds would stay behind for ever\n  try:  start Docker, and purge again";
    let docker = Docker::connect_with_unix(&settings.docker, DOCKER_SECONDS, API_DEFAULT_VERSION).context(there)?;
    let docker = docker.negotiate_version().await.context(there)?;
    let filters = HashMap::from([("label", vec![format!("{LABEL}={cluster}")])]);

    let containers = docker.list_containers(Some(ListContainersOptionsBuilder::default().all(true).filters(&filters).build()));
    for container in containers.await.context("listing containers")? {
        // The labels alone are not enough: somebody may have copied them.
        let name = container.names.unwrap_or_default().into_iter().find(|name| name.starts_with("/dinp-"));
        if let (Some(id), Some(name)) = (container.id, name) {
            let force = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            docker.remove_container(&id, Some(force)).await.with_context(|| format!("removing {name}"))?;
            println!("removed container {}", name.trim_start_matches('/'));
        }
    }
    let networks = docker.list_networks(Some(ListNetworksOptionsBuilder::default().filters(&filters).build()));
    for network in networks.await.context("listing networks")? {
        let name = network.name.unwrap_or_default();
        docker.remove_network(&name).await.with_context(|| format!("removing network {name}"))?;
        println!("removed network {name}");
    }
    let volumes = docker.list_volumes(Some(ListVolumesOptionsBuilder::default().filters(&filters).build()));
    for volume in volumes.await.context("listing volumes")?.volumes.unwrap_or_default() {
        docker
            .remove_volume(&volume.name, None::<RemoveVolumeOptions>)
            .await
            .with_context(|| format!("removing volume {}", volume.name))?;
        println!("removed volume {}", volume.name);
    }
    clean_images(&docker, cluster).await
}

async fn clean_images(docker: &Docker, cluster: &ClusterId) -> Result<()> {
    let filters = HashMap::from([("label", vec![format!("{IMAGE_LABEL}={cluster}")])]);
    let images = docker.list_images(Some(ListImagesOptionsBuilder::default().all(true).filters(&filters).build()));
    let mut images = images.await.context("listing images")?;
    // The newest first: an image goes before the one it stands on.
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    for image in images {
        let name = image.repo_tags.first().cloned().unwrap_or_else(|| image.id.clone());
        let force = RemoveImageOptionsBuilder::default().force(true).build();
        match docker.remove_image(&image.id, Some(force), None).await {
            Ok(_) => println!("removed image {name}"),
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, message }) => {
                println!("image {name} stays, since a container that is not ours uses it: {message}");
            }
            Err(error) => return Err(error).with_context(|| format!("removing image {name}")),
        }
    }
    Ok(())
}

/// Takes the bridge's rules out again. Without iptables there are none.
fn remove_firewall(bridge: &str) {
    let chain = format!("DINP-{bridge}");
    for arguments in [&["-D", "INPUT", "-i", bridge, "-j", &chain][..], &["-F", &chain], &["-X", &chain]] {
        // Fails where the rule is not there, which is what is wanted.
        let _ = Command::new("iptables").arg("-w").arg("5").args(arguments).stderr(Stdio::null()).status();
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => println!("removed {}", folder.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("removing {}", PathBuf::from(folder).display())),
    }
    Ok(())
}
