//! Sending the file, with a bar.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dinp_client::{Client, UploadStep};
use dinp_common::api::ArtifactView;
use dinp_common::size::human_bytes;
use tempfile::NamedTempFile;

use crate::user::failure::Failure;
use crate::user::progress::{Progress, seconds};
use crate::user::words;

/// The user's own file, or the archive made for this deploy.
pub enum Local {
    File(PathBuf),
    Packed(NamedTempFile),
}

impl Local {
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Packed(packed) => packed.path(),
        }
    }
}

pub async fn upload(client: &Client, file: &Path, file_name: &str, progress: &Progress) -> Result<ArtifactView, Failure> {
    let began = Instant::now();
    let (known, meter) = (Arc::new(AtomicBool::new(false)), progress.meter());
    let noted = known.clone();
    let hear = move |step| match step {
        UploadStep::Known { .. } => noted.store(true, Ordering::Relaxed),
        UploadStep::Sending { sent, total } => meter(sent, total),
    };
    let artifact = client.artifact_upload(file, file_name, hear).await?;
    let how = if known.load(Ordering::Relaxed) { words::KNOWN_ALREADY.to_owned() } else { seconds(began.elapsed()) };
    progress.step("upload", &format!("{}   {how}", human_bytes(artifact.bytes)));
    Ok(artifact)
}
