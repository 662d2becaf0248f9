//! One new layer on a base, put into the local Docker: no build container, no leftovers.

mod tarball;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use bollard::Docker;
use bollard::models::ImageInspect;
use bollard::query_parameters::{ImportImageOptions, RemoveImageOptions};
use dinp_common::build::BuildOrder;
use dinp_common::digest::{Digest, Image};
use dinp_common::kind::Kind;
use dinp_common::name::TeamName;
use futures_util::StreamExt;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::archive::{LayerSum, measure};
use crate::detect::Examined;
use crate::docker::{ask, ask_for};
use crate::refusal::Refusal;
use tarball::Tarball;

/// The user every image runs as: `app` in every base.
pub(crate) const USER: &str = "1000:1000";

/// The image an app's image stands on.
#[derive(Debug, Clone)]
pub struct BaseImage {
    pub image: Image,
    pub inspect: ImageInspect,
}

/// What an image is called.
pub fn tag(order: &BuildOrder) -> String {
    format!("{}/{}:{}", TeamName::default_team(), order.app, order.id)
}

/// The labels an image carries. Containers inherit them, so they never make one ours.
pub fn labels(cluster: &str, order: &BuildOrder, kind: Kind) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("dinp.image.cluster".to_owned(), cluster.to_owned()),
        ("dinp.image.build".to_owned(), order.id.0.to_string()),
        ("dinp.image.app".to_owned(), order.app.to_string()),
        ("dinp.image.kind".to_owned(), kind.to_string()),
    ])
}

/// Makes the image and puts it into Docker under its tag.
pub async fn assemble(
    docker: &Docker,
    order: &BuildOrder,
    examined: Arc<Examined>,
    base: Option<&BaseImage>,
    labels: &BTreeMap<String, String>,
) -> anyhow::Result<Image> {
    let summed = examined.clone();
    let sum = tokio::task::spawn_blocking(move || measure(&summed.artifact, &summed.plan)).await??;
    let config = serde_json::to_vec(&config(&examined, base, labels, &sum, &jiff::Timestamp::now().to_string()))?;
    let id = Digest::from_sha256(Sha256::digest(&config).into());
    let tag = tag(order);
    let before = ask_for("inspect an image", docker.inspect_image(&tag)).await?.and_then(|image| image.id);
    let tarball = Tarball { examined, config, id: id.clone(), tag: tag.clone(), sum, base_layers: diff_ids(base).len() };
    if let Err(error) = load(docker, tarball).await {
        remove(docker, &tag).await;
        return Err(error);
    }
    let made = ask("inspect the new image", docker.inspect_image(&tag)).await?;
    if made.id.as_deref() != Some(id.as_str()) {
        remove(docker, &tag).await;
        return Err(Refusal::new(
            format!("Docker calls the image {} and not {id}: this engine keeps images in containerd", made.id.unwrap_or_default()),
            "switch the engine to its own image store (`\"features\": {\"containerd-snapshotter\": false}` in /etc/docker/daemon.json)",
        )
        .into());
    }
    if let Some(before) = before.filter(|before| before != id.as_str()) {
        // A build done again, after its first builder was lost: the name has moved on, and nobody else knows the image.
        remove(docker, &before).await;
    }
    Ok(Image { config: id, manifest: None, name: tag, bytes: made.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0) })
}

/// Takes an image's name away, and the image with its last name; one that is not there is fine.
pub(crate) async fn remove(docker: &Docker, name: &str) {
    let removed = docker.remove_image(name, None::<RemoveImageOptions>, None);
    if let Err(error) = ask_for("remove an image", removed).await {
        tracing::warn!(image = name, "a leftover image stays: {error:#}");
    }
}

async fn load(docker: &Docker, tarball: Tarball) -> anyhow::Result<()> {
    let (chunks, writing) = tarball.stream();
    let mut answers = docker.import_image_stream(ImportImageOptions { quiet: true, platform: None }, chunks, None);
    let mut answer = Ok(());
    while let Some(line) = answers.next().await {
        if let Err(error) = line {
            answer = Err(anyhow::Error::new(error).context("Docker, asked to load the image"));
        }
    }
    drop(answers);
    // What went wrong while writing is the cause; Docker only saw the stream end.
    writing.await.context("the layer's writer ended")??;
    answer
}

pub(crate) fn diff_ids(base: Option<&BaseImage>) -> Vec<String> {
    base.and_then(|base| base.inspect.root_fs.as_ref()?.layers.clone()).unwrap_or_default()
}

/// The image's configuration (OCI image spec, config.md), on top of the base's as `FROM` would take it.
fn config(examined: &Examined, base: Option<&BaseImage>, labels: &BTreeMap<String, String>, sum: &LayerSum, now: &str) -> Value {
    let inherited = base.and_then(|base| base.inspect.config.clone()).unwrap_or_default();
    let mut all_labels: BTreeMap<String, String> = inherited.labels.unwrap_or_default().into_iter().collect();
    all_labels.extend(labels.clone());
    let mut run = Map::new();
    run.insert("User".into(), USER.into());
    run.insert("Env".into(), env(inherited.env.unwrap_or_default(), &examined.recipe.env).into());
    run.insert("Cmd".into(), examined.recipe.start.clone().into());
    run.insert("WorkingDir".into(), "/app".into());
    run.insert("Labels".into(), json!(all_labels));
    run.insert("Entrypoint".into(), Value::Array(Vec::new()));
    for (key, names) in [("ExposedPorts", inherited.exposed_ports), ("Volumes", inherited.volumes)] {
        if let Some(names) = names.filter(|names| !names.is_empty()) {
            run.insert(key.into(), names.into_iter().map(|name| (name, json!({}))).collect::<Map<_, _>>().into());
        }
    }
    if let Some(signal) = inherited.stop_signal {
        run.insert("StopSignal".into(), signal.into());
    }
    let mut layers = diff_ids(base);
    let mut history: Vec<Value> = layers.iter().map(|_| json!({ "created": now, "created_by": "base" })).collect();
    layers.push(sum.diff_id.to_string());
    history.push(json!({ "created": now, "created_by": "dinp" }));
    json!({
        "created": now,
        "architecture": architecture(),
        "os": "linux",
        "config": run,
        "rootfs": { "type": "layers", "diff_ids": layers },
        "history": history,
    })
}

/// The base's environment with ours over it, each name once and in its first place.
fn env(mut base: Vec<String>, ours: &[(String, String)]) -> Vec<String> {
    if base.is_empty() {
        // What Docker itself gives an image that says nothing.
        base.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
    }
    for (key, value) in ours {
        let line = format!("{key}={value}");
        match base.iter_mut().find(|line| line.split('=').next() == Some(key)) {
            Some(old) => *old = line,
            None => base.push(line),
        }
    }
    base
}

/// This machine, in the words of Go that image configurations use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
