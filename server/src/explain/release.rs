//! Releases and their environment. Sealed values never leave here.

use dinp_common::api::{EnvItem, EnvView, ReleaseView};
use dinp_common::release::{Env, Release, ReleaseNo};

use crate::cluster::Snapshot;

/// `kept`: a node still has its image as far as is known; where no plan was made yet, nothing says otherwise.
pub fn release_view(snapshot: &Snapshot, release: &Release, live: Option<ReleaseNo>) -> ReleaseView {
    let keep = &snapshot.desired.images.keep;
    ReleaseView {
        number: release.number,
        note: release.note.clone(),
        author: release.author.clone(),
        created_at: release.created_at.clone(),
        image: release.spec.image.clone(),
        build: release.build,
        memory: release.spec.memory,
        cpu: release.spec.cpu,
        placement: release.spec.placement.clone(),
        port: release.spec.port,
        health: release.spec.health.clone(),
        env: release.spec.env.keys().map(ToString::to_string).collect(),
        live: live == Some(release.number),
        kept: keep.is_empty() || keep.contains(&release.spec.image.config),
    }
}

pub fn env_view(env: &Env) -> EnvView {
    let item = |value: &dinp_common::release::EnvValue| EnvItem {
        value: (!value.sealed).then(|| value.value.clone()),
        sealed: value.sealed,
    };
    EnvView { items: env.iter().map(|(key, value)| (key.to_string(), item(value))).collect() }
}
