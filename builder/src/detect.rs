//! What an artifact is, by its content and never by its name.

mod elf;
mod packing;
mod python;
mod tree;

use std::path::Path;

use dinp_common::build::BuildOrder;
use dinp_common::kind::Kind;
use tokio_util::sync::CancellationToken;

use crate::archive::{Artifact, Bounds, LayerPlan, Listing, Packing, list};
use crate::recipe::Recipe;
use crate::refusal::Refusal;
pub(crate) use elf::Linkage;
pub(crate) use packing::packing_of;

/// An artifact, what becomes of it, and what people should know about how that was found.
#[derive(Debug)]
pub struct Examined {
    pub artifact: Artifact,
    pub plan: LayerPlan,
    pub recipe: Recipe,
    /// Lines for the build's log.
    pub notes: Vec<String>,
}

/// Reads the artifact at `path` once, checks all of it, and decides what it is. Blocks.
pub fn examine(order: &BuildOrder, path: &Path, bounds: Bounds, stop: CancellationToken) -> anyhow::Result<Examined> {
    let packing = packing_of(path)?;
    let artifact = Artifact { path: path.to_owned(), packing, bounds, fallback_mtime: fallback_mtime(order), stop };
    match packing {
        Packing::Plain | Packing::Gzip => single(order, artifact),
        Packing::Tar | Packing::TarGz | Packing::Zip => {
            let listing = list(&artifact)?;
            tree::decide(order, artifact, &listing)
        }
    }
}

fn single(order: &BuildOrder, artifact: Artifact) -> anyhow::Result<Examined> {
    if let Some(kind) = order.kind.filter(|kind| *kind != Kind::Binary) {
        let fix = format!("leave --kind out, or upload what a {} is", kind.describe());
        return Err(Refusal::new(format!("the file is one Linux executable, not a {}", kind.describe()), fix).into());
    }
    let linkage = elf::check(&artifact)?;
    let name = program_name(&order.file_name);
    let start = order.start.clone().unwrap_or_else(|| vec![format!("/app/{name}")]);
    let mut notes = vec![format!("{}: a Linux executable, {}", order.file_name, linkage.describe())];
    if artifact.packing == Packing::Gzip {
        notes.push("it comes behind gzip and is unpacked".to_owned());
    }
    let recipe = Recipe::binary(start, linkage);
    Ok(Examined { artifact, plan: LayerPlan::File { name, executable: true }, recipe, notes })
}

/// A time between 2000 and 2020 drawn from the artifact's digest.
fn fallback_mtime(order: &BuildOrder) -> u64 {
    const YEAR_2000: u64 = 946_684_800;
    const TWENTY_YEARS: u64 = 631_152_000;
    let digits = &order.artifact.as_str()["sha256:".len()..][..15];
    YEAR_2000 + u64::from_str_radix(digits, 16).unwrap_or_default() % TWENTY_YEARS
}

/// A name for the executable within the image, from the name people gave the file.
fn program_name(file_name: &str) -> String {
    let base = file_name.rsplit(['/', '\\']).next().unwrap_or_default();
    let base = base.strip_suffix(".gz").unwrap_or(base);
    let name: String = base.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')).take(64).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "app".to_owned() } else { name.to_owned() }
}

/// The names at an archive's top, for messages: `app.py, lib, README and 3 more`.
fn first_names(listing: &Listing, strip: Option<&str>) -> String {
    const SHOWN: usize = 8;
    let mut names: Vec<&str> = Vec::new();
    for path in listing.nodes.keys() {
        let path = match strip {
            None => path.as_str(),
            Some(folder) => match path.strip_prefix(folder).and_then(|path| path.strip_prefix('/')) {
                Some(path) => path,
                None => continue,
            },
        };
        let top = path.split('/').next().unwrap_or(path);
        if !names.contains(&top) {
            names.push(top);
        }
    }
    match names.len() {
        0 => "nothing".to_owned(),
        n if n <= SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}

#[cfg(test)]
pub(crate) mod tests;
