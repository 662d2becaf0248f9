//! Uploaded artifacts on disk, named by their content.
//!
//! A file has its final name only when it is whole and on the disk, so whatever has a name can be built from.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use dinp_common::digest::Digest;
use dinp_common::limits;
use futures_util::{Stream, StreamExt};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

/// Bytes gathered before a write: large enough that the disk, not the calls, is what an upload waits for.
const WRITE_BUFFER: usize = 256 * 1024;
/// How long a sender may send nothing, until its upload counts as cut.
const STALL: Duration = Duration::from_secs(60);
/// The ending of a file that is still being received.
const PART: &str = ".part";

#[derive(Debug, Clone)]
pub struct Artifacts {
    dir: PathBuf,
}

/// An artifact that is whole and on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    pub digest: Digest,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    #[error("the upload is empty")]
    Empty,
    #[error("the upload is larger than {} bytes", limits::ARTIFACT_BYTES)]
    TooLarge,
    #[error("the upload ended before it was whole: {0}")]
    Cut(String),
    #[error("the disk is full: {0}")]
    DiskFull(io::Error),
    #[error("the upload could not be written: {0}")]
    Io(#[from] io::Error),
}

impl Artifacts {
    /// Opens the folder, and removes what an interrupted server left half received.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        std::fs::create_dir_all(&dir)?;
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(PART) {
                std::fs::remove_file(&path)?;
            }
        }
        Ok(Self { dir })
    }

    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(digest.as_str().trim_start_matches("sha256:"))
    }

    /// Bytes of an artifact; `None` if it is not here.
    ///
    /// # Errors
    /// If the disk cannot be read: then nobody knows whether it is here.
    pub async fn size(&self, digest: &Digest) -> io::Result<Option<u64>> {
        match tokio::fs::metadata(self.path(digest)).await {
            Ok(meta) => Ok(Some(meta.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every artifact here.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Digest>> {
        let mut digests = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            digests.extend(Digest::parse(&format!("sha256:{}", name.to_string_lossy())));
        }
        Ok(digests)
    }

    /// Removes an artifact; one that is gone already is no error.
    ///
    /// # Errors
    /// If it is still there afterwards.
    pub async fn remove(&self, digest: &Digest) -> io::Result<()> {
        match tokio::fs::remove_file(self.path(digest)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Receives an upload. Whatever ends it early, a failed write or the caller dropping this future, leaves nothing.
    ///
    /// # Errors
    /// See [`ReceiveError`]; nothing is kept then.
    pub async fn receive<E: std::fmt::Display>(
        &self,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<Stored, ReceiveError> {
        let part = Part(self.dir.join(format!("{}{PART}", hex::encode(rand::random::<[u8; 8]>()))));
        let mut file = BufWriter::with_capacity(WRITE_BUFFER, File::create(&part.0).await.map_err(written)?);
        let (mut hash, mut bytes) = (Sha256::new(), 0u64);
        while let Some(chunk) = next(&mut body).await? {
            let chunk = chunk.map_err(|error| ReceiveError::Cut(error.to_string()))?;
            bytes += chunk.len() as u64;
            if bytes > limits::ARTIFACT_BYTES {
                return Err(ReceiveError::TooLarge);
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(written)?;
        }
        if bytes == 0 {
            return Err(ReceiveError::Empty);
        }
        file.flush().await.map_err(written)?;
        file.get_ref().sync_all().await.map_err(written)?;
        let digest = Digest::from_sha256(hash.finalize().into());
        tokio::fs::rename(&part.0, self.path(&digest)).await.map_err(written)?;
        sync_dir(&self.dir).await?;
        Ok(Stored { digest, bytes })
    }
}

/// The next piece of a body; a sender that has fallen silent is not waited for.
async fn next<T>(body: &mut (impl Stream<Item = T> + Unpin)) -> Result<Option<T>, ReceiveError> {
    let late = |_| ReceiveError::Cut(format!("nothing came for {} seconds", STALL.as_secs()));
    tokio::time::timeout(STALL, body.next()).await.map_err(late)
}

/// The name itself is durable only when the folder is.
async fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir).await?.sync_all().await
}

fn written(error: io::Error) -> ReceiveError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ReceiveError::DiskFull(error),
        _ => ReceiveError::Io(error),
    }
}

/// A file being received, removed unless it got its name.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // After the rename there is nothing under this name, which is the normal case.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;

    fn files(dir: &Path) -> usize {
        std::fs::read_dir(dir).expect("folder").count()
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_falls_silent_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("folder");
        let artifacts = Artifacts::open(dir.path()).expect("opens");
        let body = stream::iter([Ok::<_, String>(Bytes::from_static(b"he"))]).chain(stream::pending());
        let received = tokio::time::timeout(STALL * 10, artifacts.receive(body)).await.expect("an end");
        assert!(matches!(received, Err(ReceiveError::Cut(_))), "{received:?}");
        assert_eq!(files(dir.path()), 0);
    }

    #[tokio::test]
    async fn an_artifact_is_named_by_its_content_and_a_cut_one_leaves_nothing() {
        let dir = tempfile::tempdir().expect("folder");
        let artifacts = Artifacts::open(dir.path()).expect("opens");
        let whole = stream::iter([Ok::<_, String>(Bytes::from_static(b"he")), Ok(Bytes::from_static(b"llo"))]);
        let stored = artifacts.receive(whole).await.expect("whole");
        assert_eq!(stored.bytes, 5);
        assert_eq!(stored.digest.as_str(), "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(std::fs::read(artifacts.path(&stored.digest)).expect("reads"), b"hello");
        assert_eq!(artifacts.list().expect("list"), vec![stored.digest.clone()]);

        let cut = stream::iter([Ok(Bytes::from_static(b"he")), Err("connection reset".to_owned())]);
        assert!(matches!(artifacts.receive(cut).await, Err(ReceiveError::Cut(_))));
        assert!(matches!(artifacts.receive(stream::iter(Vec::<Result<Bytes, String>>::new())).await, Err(ReceiveError::Empty)));
        assert_eq!(files(dir.path()), 1);

        artifacts.remove(&stored.digest).await.expect("removed");
        artifacts.remove(&stored.digest).await.expect("gone already");
        assert_eq!(artifacts.size(&stored.digest).await.expect("asked"), None);
    }

    #[tokio::test]
    async fn an_upload_whose_sender_goes_away_leaves_nothing() {
        let dir = tempfile::tempdir().expect("folder");
        let artifacts = Artifacts::open(dir.path()).expect("opens");
        let endless = stream::iter([Ok::<_, String>(Bytes::from_static(b"he"))]).chain(stream::pending());
        let mut receive = Box::pin(artifacts.receive(Box::pin(endless)));
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while files(dir.path()) == 0 {
            assert!(std::time::Instant::now() < deadline, "no file appeared");
            assert!(futures_util::poll!(receive.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        drop(receive);
        assert_eq!(files(dir.path()), 0);
    }

    #[test]
    fn what_a_killed_server_left_is_removed() {
        let dir = tempfile::tempdir().expect("folder");
        std::fs::write(dir.path().join("12.part"), b"half").expect("writes");
        Artifacts::open(dir.path()).expect("opens");
        assert_eq!(files(dir.path()), 0);
    }
}
