//! Sending a file as it is, without ever holding it in memory.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dinp_common::digest::Digest;
use futures_util::TryStreamExt;
use http::Method;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use crate::call::Client;
use crate::error::ClientError;
use crate::transport::{Body, BoxError};

/// Bytes read from the file at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// An upload that moves nothing for this long, or is not answered this long after its last byte, is given up.
const STALL: Duration = Duration::from_secs(30);

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadStep {
    /// The server has this content already: nothing is sent.
    Known { total: u64 },
    /// `sent` of `total` bytes have been handed to the connection.
    Sending { sent: u64, total: u64 },
}

/// The digest of a file's content. Reads it once, on a thread that may block.
pub async fn sha256_of_file(path: &Path) -> Result<Digest, ClientError> {
    let owned = path.to_owned();
    let hashing = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(&owned)?;
        let mut hash = Sha256::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok(Digest::from_sha256(hash.finalize().into())),
                n => hash.update(&chunk[..n]),
            }
        }
    });
    hashing.await.unwrap_or_else(|error| Err(std::io::Error::other(error))).map_err(|error| unreadable(path, &error))
}

impl Client {
    /// PUTs a file to `path`; `progress` hears of every chunk that leaves.
    pub(crate) async fn put_file<T: DeserializeOwned>(
        &self,
        path: &str,
        file: &Path,
        progress: impl Fn(UploadStep) + Send + 'static,
    ) -> Result<T, ClientError> {
        let moved = Arc::new(AtomicU64::new(0));
        let (body, total) = file_body(file, moved.clone(), progress).await?;
        let request =
            self.request(Method::PUT, path).header(CONTENT_TYPE, "application/octet-stream").header(CONTENT_LENGTH, total);
        let exchange = async {
            let response = self.send(request, body).await?;
            self.read(response).await
        };
        while_moving(exchange, &moved).await.unwrap_or_else(|| Err(self.late(STALL)))
    }
}

/// A body that reads the file as the connection takes it, with the number of bytes it will give.
async fn file_body(
    path: &Path,
    moved: Arc<AtomicU64>,
    progress: impl Fn(UploadStep) + Send + 'static,
) -> Result<(Body, u64), ClientError> {
    let open = async {
        let file = tokio::fs::File::open(path).await?;
        let total = file.metadata().await?.len();
        Ok((file, total))
    };
    let (file, total) = open.await.map_err(|error| unreadable(path, &error))?;
    progress(UploadStep::Sending { sent: 0, total });
    // A file that grows meanwhile must not exceed the length already announced.
    let chunks = ReaderStream::with_capacity(file.take(total), CHUNK_BYTES);
    let frames = chunks.map_err(BoxError::from).map_ok(move |chunk: Bytes| {
        let sent = moved.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
        progress(UploadStep::Sending { sent, total });
        Frame::data(chunk)
    });
    Ok((StreamBody::new(frames).boxed_unsync(), total))
}

/// Runs `exchange` for as long as `moved` grows; `None` once it stood still for the whole bound.
async fn while_moving<F: Future>(exchange: F, moved: &AtomicU64) -> Option<F::Output> {
    let mut exchange = std::pin::pin!(exchange);
    let mut before = moved.load(Ordering::Relaxed);
    loop {
        if let Ok(output) = tokio::time::timeout(STALL, &mut exchange).await {
            return Some(output);
        }
        let now = moved.load(Ordering::Relaxed);
        if now == before {
            return None;
        }
        before = now;
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> ClientError {
    ClientError::File { path: PathBuf::from(path), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stalled_upload_ends_and_a_slow_one_does_not() {
        let still = AtomicU64::new(7);
        assert_eq!(while_moving(std::future::pending::<()>(), &still).await, None);
        let moved = AtomicU64::new(0);
        let slow = async {
            for _ in 0..20 {
                tokio::time::sleep(STALL / 2).await;
                moved.fetch_add(1, Ordering::Relaxed);
            }
            "done"
        };
        assert_eq!(while_moving(slow, &moved).await, Some("done"));
    }
}
