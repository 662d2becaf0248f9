//! One build: from an order to an image, or to the reason why there is none.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bollard::Docker;
use dinp_common::build::{BuildOrder, BuildOutcome};
use tokio_util::sync::CancellationToken;

use crate::archive::{Bounds, size_words};
use crate::base::{Replacements, base_ensure};
use crate::detect::examine;
use crate::image::{assemble, labels};
use crate::{Progress, dockerfile};

/// What builds of one builder share.
#[derive(Debug, Clone)]
pub struct Workshop {
    pub docker: Docker,
    pub cluster: String,
    pub bases: Replacements,
}

impl Workshop {
    /// Builds the artifact at `path`. Leaves nothing behind but the image; `stop` ends it at the next block read.
    pub async fn build(
        &self,
        order: &BuildOrder,
        path: &Path,
        stop: &CancellationToken,
        progress: Progress<'_>,
    ) -> anyhow::Result<BuildOutcome> {
        let began = Instant::now();
        let (what, file, guard) = (order.clone(), path.to_owned(), stop.clone());
        let examined = tokio::task::spawn_blocking(move || examine(&what, &file, Bounds::default(), guard)).await??;
        examined.notes.iter().for_each(|note| progress(note.clone()));
        let recipe = examined.recipe.clone();
        let base = match recipe.base {
            Some(base) => Some(base_ensure(&self.docker, &self.cluster, base, &self.bases, progress).await?),
            None => None,
        };
        let labels = labels(&self.cluster, order, recipe.kind);
        let base_name = base.as_ref().map(|base| base.image.name.as_str());
        let dockerfile = dockerfile::render(&order.file_name, &examined.plan, &recipe, base_name, &labels);
        progress(format!("assembling on {}", base_name.unwrap_or("an empty image")));
        let image = assemble(&self.docker, order, Arc::new(examined), base.as_ref(), &labels).await?;
        let took = began.elapsed().as_secs_f32();
        progress(format!("image {} ({}, {}), {took:.1} s", image.name, image.config.short(), size_words(image.bytes)));
        Ok(BuildOutcome::Image { image, kind: recipe.kind, health: recipe.health, dockerfile })
    }
}
