//! A builder's side of the API. The token is a builder's.

use std::path::Path;
use std::time::Duration;

use dinp_common::api::{BaseView, BuildClaim, BuildFinish, BuildLogLines};
use dinp_common::build::{BuildId, BuildOrder};
use dinp_common::digest::Digest;
use futures_util::TryStreamExt;
use http::Method;
use http_body_util::BodyExt;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt;

use crate::call::{CALL_DEADLINE, Client, POLL_MARGIN, empty};
use crate::error::ClientError;
use crate::transport;

/// An artifact that sends nothing for this long is given up.
const STALL: Duration = Duration::from_secs(30);

impl Client {
    /// Takes the next build, waiting up to `wait` for one.
    pub async fn builder_claim(&self, wait: Duration) -> Result<Option<BuildClaim>, ClientError> {
        let path = format!("/v1/builder/claim?wait={}", wait.as_secs());
        self.call(Method::POST, &path, None, wait + POLL_MARGIN).await
    }

    /// Says which bases this builder has.
    pub async fn builder_bases(&self, bases: &[BaseView]) -> Result<(), ClientError> {
        self.call(Method::PUT, "/v1/builder/bases", Some(self.encode(&bases)?), CALL_DEADLINE).await
    }

    /// Writes a build's artifact to the file `into` and checks that it is what was ordered.
    pub async fn builder_artifact(&self, order: &BuildOrder, into: &Path) -> Result<(), ClientError> {
        let request = self.request(Method::GET, &format!("/v1/builder/builds/{}/artifact", order.id.0));
        let response = tokio::time::timeout(CALL_DEADLINE, self.send(request, empty())).await;
        let mut chunks = response.map_err(|_| self.late(CALL_DEADLINE))??.into_body().into_data_stream();
        let unwritable = |error: std::io::Error| ClientError::File { path: into.to_owned(), why: error.to_string() };
        let mut file = tokio::fs::File::create(into).await.map_err(unwritable)?;
        let mut hash = Sha256::new();
        loop {
            let chunk = tokio::time::timeout(STALL, chunks.try_next()).await.map_err(|_| self.late(STALL))?;
            match chunk.map_err(|error| transport::explain(self.url(), &error))? {
                Some(chunk) => {
                    hash.update(&chunk);
                    file.write_all(&chunk).await.map_err(unwritable)?;
                }
                None => break,
            }
        }
        file.flush().await.map_err(unwritable)?;
        let got = Digest::from_sha256(hash.finalize().into());
        if got == order.artifact {
            Ok(())
        } else {
            Err(self.protocol(format!("the artifact is {got}, ordered was {}", order.artifact)))
        }
    }

    /// Appends lines to a build's log and renews the claim; no lines only renew it.
    pub async fn builder_log(&self, build: BuildId, lines: &BuildLogLines) -> Result<(), ClientError> {
        self.post(&format!("/v1/builder/builds/{}/log", build.0), lines).await
    }

    pub async fn builder_finish(&self, build: BuildId, finish: &BuildFinish) -> Result<(), ClientError> {
        self.post(&format!("/v1/builder/builds/{}/finish", build.0), finish).await
    }
}
