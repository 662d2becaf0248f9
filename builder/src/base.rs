//! Base images: ours, made from Debian packages on this machine, or the operator's.

mod check;
mod make;
mod run;
mod sources;
mod spec;

use std::collections::BTreeMap;

use bollard::Docker;
use bollard::models::ImageInspect;
use bollard::query_parameters::CreateImageOptions;
use dinp_common::api::BaseView;
use dinp_common::digest::{Digest, Image};
use dinp_common::kind::Base;
use futures_util::StreamExt;

use crate::docker::ask_for;
use crate::image::BaseImage;
use crate::refusal::Refusal;
pub use make::base_make;

/// Takes one line of progress.
pub type Progress<'p> = &'p (dyn Fn(String) + Send + Sync);

/// Images that stand in for ours, by base.
pub type Replacements = BTreeMap<Base, String>;

/// What our own base is called. The cluster is in its name, so that two installations on one machine never share one
/// and removing one takes nothing from the other.
pub(crate) fn own_name(cluster: &str, base: Base) -> String {
    format!("dinp-base/{base}:{cluster}")
}

/// The image to build on, made or fetched first where it is missing.
pub async fn base_ensure(
    docker: &Docker,
    cluster: &str,
    base: Base,
    replacements: &Replacements,
    progress: Progress<'_>,
) -> anyhow::Result<BaseImage> {
    if let Some(reference) = replacements.get(&base) {
        return replacement(docker, base, reference, progress).await;
    }
    if let Some(found) = own(docker, cluster, base).await? {
        return Ok(found);
    }
    progress(format!("the base image {base} is missing; making it once (about a minute)"));
    base_make_if_missing(docker, cluster, base, progress).await
}

async fn base_make_if_missing(docker: &Docker, cluster: &str, base: Base, progress: Progress<'_>) -> anyhow::Result<BaseImage> {
    let _lock = make::lock(progress).await?;
    // Whoever held the lock may have made it.
    if let Some(found) = own(docker, cluster, base).await? {
        return Ok(found);
    }
    make::make(docker, cluster, base, progress).await
}

/// Every base with the image that stands for it.
pub async fn base_list(docker: &Docker, cluster: &str, replacements: &Replacements) -> anyhow::Result<Vec<BaseView>> {
    let mut views = Vec::new();
    for name in Base::ALL {
        let view = match replacements.get(&name) {
            Some(reference) => match inspect(docker, reference).await? {
                Some(found) => {
                    BaseView { name, image: Some(found.image), ready: true, reason: "set in the configuration".to_owned() }
                }
                None => {
                    let reason = format!(
                        "set in the configuration to {reference}, which is not on this machine; fetched at the first build"
                    );
                    BaseView { name, image: None, ready: false, reason }
                }
            },
            None => match inspect(docker, &own_name(cluster, name)).await? {
                Some(found) if spec::is_current(&found.inspect, name) => {
                    BaseView { name, image: Some(found.image), ready: true, reason: "made from Debian packages".to_owned() }
                }
                Some(found) => {
                    let reason = "made by another version of DINP; made anew at the next build".to_owned();
                    BaseView { name, image: Some(found.image), ready: false, reason }
                }
                None => BaseView {
                    name,
                    image: None,
                    ready: false,
                    reason: "not made yet; made at the first build that needs it".to_owned(),
                },
            },
        };
        views.push(view);
    }
    Ok(views)
}

/// Our own base, if it is there and of this version.
async fn own(docker: &Docker, cluster: &str, base: Base) -> anyhow::Result<Option<BaseImage>> {
    let found = inspect(docker, &own_name(cluster, base)).await?;
    Ok(found.filter(|found| spec::is_current(&found.inspect, base)))
}

async fn replacement(docker: &Docker, base: Base, reference: &str, progress: Progress<'_>) -> anyhow::Result<BaseImage> {
    let found = match inspect(docker, reference).await? {
        Some(found) => found,
        None => {
            progress(format!("fetching {reference}, which the configuration names as the base {base}"));
            pull(docker, base, reference).await?;
            inspect(docker, reference).await?.ok_or_else(|| anyhow::anyhow!("{reference} is gone right after it was fetched"))?
        }
    };
    check::once(docker, base, reference, &found).await?;
    Ok(found)
}

async fn pull(docker: &Docker, base: Base, reference: &str) -> anyhow::Result<()> {
    let options = CreateImageOptions { from_image: Some(reference.to_owned()), ..CreateImageOptions::default() };
    let mut answers = docker.create_image(Some(options), None, None);
    while let Some(answer) = answers.next().await {
        answer.map_err(|error| {
            let why =
                format!("the base {base} is set to {reference}, which is not on this machine and cannot be fetched: {error}");
            Refusal::new(why, format!("correct `bases.{base}` in the builder's configuration, or leave it out"))
        })?;
    }
    Ok(())
}

pub(crate) async fn inspect(docker: &Docker, reference: &str) -> anyhow::Result<Option<BaseImage>> {
    let Some(inspect) = ask_for("inspect an image", docker.inspect_image(reference)).await? else {
        return Ok(None);
    };
    Ok(Some(BaseImage { image: image_of(reference, &inspect)?, inspect }))
}

fn image_of(name: &str, inspect: &ImageInspect) -> anyhow::Result<Image> {
    let config = Digest::parse(inspect.id.as_deref().unwrap_or_default())?;
    let bytes = inspect.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
    Ok(Image { config, manifest: None, name: name.to_owned(), bytes })
}

#[cfg(test)]
mod tests;
