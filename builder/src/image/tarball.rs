//! The tar `docker load` takes, written as a stream. Layers the engine already has are named in it and left out:
//! it looks for a layer by its chain of digests before it opens the file (moby image/tarexport/load.go).

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use dinp_common::digest::Digest;
use futures_util::Stream;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::archive::{LayerSum, write_layer};
use crate::detect::Examined;

/// Bytes handed over at a time.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that may wait for the engine: 2 MiB at most.
const CHUNKS_WAITING: usize = 8;
/// A tar block.
const BLOCK: usize = 512;

pub(super) struct Tarball {
    pub(super) examined: Arc<Examined>,
    pub(super) config: Vec<u8>,
    pub(super) id: Digest,
    pub(super) tag: String,
    pub(super) sum: LayerSum,
    pub(super) base_layers: usize,
}

type Chunk = io::Result<Bytes>;

impl Tarball {
    /// Writes in a thread of its own, as fast as the engine reads. A failure ends the stream with an error, so that
    /// the engine never takes a part for the whole.
    pub(super) fn stream(self) -> (impl Stream<Item = Chunk> + Send + 'static, JoinHandle<anyhow::Result<()>>) {
        let (send, mut receive) = mpsc::channel::<Chunk>(CHUNKS_WAITING);
        let writing = tokio::task::spawn_blocking(move || {
            let mut out = Chunks { send, waiting: Vec::with_capacity(CHUNK_BYTES), written: 0 };
            let written = self.write(&mut out);
            if written.is_err() {
                // The engine may be gone as well; then nobody needs to hear it.
                let _ = out.send.blocking_send(Err(io::Error::other("the layer could not be written")));
            }
            written
        });
        (futures_util::stream::poll_fn(move |context| receive.poll_recv(context)), writing)
    }

    fn write(&self, out: &mut Chunks) -> anyhow::Result<()> {
        let config_name = format!("{}.json", hex_of(&self.id));
        let layer_name = format!("{}/layer.tar", hex_of(&self.sum.diff_id));
        let mut layers: Vec<String> = (0..self.base_layers).map(|n| format!("base{n}/layer.tar")).collect();
        layers.push(layer_name.clone());
        let manifest = serde_json::to_vec(&json!([{ "Config": config_name, "RepoTags": [self.tag], "Layers": layers }]))?;
        file(out, "manifest.json", &manifest)?;
        file(out, &config_name, &self.config)?;
        out.write_all(header(&layer_name, self.sum.bytes)?.as_bytes())?;
        let before = out.written;
        write_layer(&self.examined.artifact, &self.examined.plan, out)?;
        anyhow::ensure!(out.written - before == self.sum.bytes, "the artifact changed while it was built");
        pad(out)?;
        out.write_all(&[0; 2 * BLOCK])?;
        Ok(out.flush()?)
    }
}

fn hex_of(digest: &Digest) -> &str {
    &digest.as_str()["sha256:".len()..]
}

fn header(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

fn file(out: &mut Chunks, name: &str, content: &[u8]) -> io::Result<()> {
    out.write_all(header(name, content.len() as u64)?.as_bytes())?;
    out.write_all(content)?;
    pad(out)
}

fn pad(out: &mut Chunks) -> io::Result<()> {
    let over = (out.written % BLOCK as u64) as usize;
    if over == 0 { Ok(()) } else { out.write_all(&[0; BLOCK][over..]) }
}

struct Chunks {
    send: mpsc::Sender<Chunk>,
    waiting: Vec<u8>,
    written: u64,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
        if self.waiting.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let full = std::mem::replace(&mut self.waiting, Vec::with_capacity(CHUNK_BYTES));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "Docker stopped reading the image");
        self.send.blocking_send(Ok(full.into())).map_err(gone)
    }
}
