//! Artifacts: what people upload.

use std::path::Path;

use dinp_common::api::{ArtifactView, DeployView};
use dinp_common::digest::Digest;
use dinp_common::kind::Kind;
use dinp_common::name::AppName;
use http::Method;

use crate::call::{CALL_DEADLINE, Client, empty};
use crate::error::ClientError;
use crate::query::with_query;
use crate::upload::{UploadStep, sha256_of_file};

impl Client {
    /// Whether the server has an artifact of this content.
    pub async fn artifact_known(&self, digest: &Digest) -> Result<bool, ClientError> {
        let request = self.request(Method::HEAD, &format!("/v1/artifacts/{digest}"));
        let answer = tokio::time::timeout(CALL_DEADLINE, self.send(request, empty())).await;
        match answer.map_err(|_| self.late(CALL_DEADLINE))? {
            Ok(_) => Ok(true),
            // The answer to a HEAD has no body, so its status is all there is to read.
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Uploads a file as an artifact, unless the server has the same content already. `progress` hears how far it is.
    pub async fn artifact_upload(
        &self,
        file: &Path,
        file_name: &str,
        progress: impl Fn(UploadStep) + Send + 'static,
    ) -> Result<ArtifactView, ClientError> {
        let digest = sha256_of_file(file).await?;
        if self.artifact_known(&digest).await? {
            let bytes = tokio::fs::metadata(file).await.map_or(0, |meta| meta.len());
            progress(UploadStep::Known { total: bytes });
            return Ok(ArtifactView { digest, bytes, file_name: file_name.to_owned() });
        }
        self.put_file(&with_query("/v1/artifacts", &[("file_name", Some(file_name))]), file, progress).await
    }

    /// Uploads a file and deploys it in one call, as `curl -T` does.
    pub async fn app_artifact_put(
        &self,
        app: &AppName,
        file: &Path,
        file_name: &str,
        kind: Option<Kind>,
        progress: impl Fn(UploadStep) + Send + 'static,
    ) -> Result<DeployView, ClientError> {
        let pairs = [("file_name", Some(file_name)), ("kind", kind.map(Kind::as_str))];
        self.put_file(&with_query(&format!("/v1/apps/{app}/artifact"), &pairs), file, progress).await
    }
}
