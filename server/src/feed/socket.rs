//! The feed of one machine: newline-delimited JSON over a unix socket.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use dinp_common::route::{RouteUpdate, RouterMessage, TableVersion};
use dinp_planner::table::Publisher;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::codec::{FramedRead, LinesCodec};
use tokio_util::sync::CancellationToken;

use super::Hearing;

/// Bytes of one line from a router: its status names every instance with something in flight.
const LINE_BYTES: usize = 1024 * 1024;
/// How long a router may take to read one update before its connection counts as dead.
const SEND_DEADLINE: Duration = Duration::from_secs(5);

/// The newest table, and the step that led to it.
struct Published {
    update: Option<RouteUpdate>,
    publisher: Publisher,
}

pub struct SocketFeed {
    newest: watch::Sender<Option<Arc<Published>>>,
}

impl SocketFeed {
    pub(super) fn open(
        path: &Path,
        hearing: Hearing,
        shutdown: CancellationToken,
    ) -> anyhow::Result<(Self, JoinHandle<anyhow::Result<()>>)> {
        let listener = bind(path).with_context(|| format!("the route socket {} cannot be bound", path.display()))?;
        let (newest, reader) = watch::channel(None);
        let task = tokio::spawn(accept(listener, reader, hearing, shutdown));
        Ok((Self { newest }, task))
    }

    pub(super) fn publish(&self, update: Option<RouteUpdate>, publisher: &Publisher) {
        if update.is_some() {
            self.newest.send_replace(Some(Arc::new(Published { update, publisher: publisher.clone() })));
        }
    }
}

/// Binds the socket for its folder's group alone: whoever may speak here can hold up a drain.
fn bind(path: &Path) -> std::io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    if let Some(folder) = path.parent() {
        std::os::unix::fs::chown(path, None, Some(std::fs::metadata(folder)?.gid()))?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

async fn accept(
    listener: UnixListener,
    newest: watch::Receiver<Option<Arc<Published>>>,
    hearing: Hearing,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        // Both branches are cancel-safe.
        let stream = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted.context("the route socket failed")?.0,
        };
        let (newest, hearing, shutdown) = (newest.clone(), hearing.clone(), shutdown.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(stream, newest, hearing, shutdown).await {
                tracing::info!(%error, "a router's connection ended");
            }
        });
    }
}

async fn serve(
    stream: UnixStream,
    mut newest: watch::Receiver<Option<Arc<Published>>>,
    hearing: Hearing,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = FramedRead::new(read, LinesCodec::new_with_max_length(LINE_BYTES));
    let mut sent: Option<TableVersion> = None;
    newest.mark_changed();
    loop {
        // Cancel-safe: `changed` and a framed stream's `next` lose nothing.
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            changed = newest.changed() => {
                changed?;
                let published = newest.borrow_and_update().clone();
                if let Some(published) = published {
                    sent = Some(send_newest(&mut write, &published, sent).await?);
                }
            }
            line = lines.next() => {
                let Some(line) = line.transpose()? else { return Ok(()) };
                let message: RouterMessage = serde_json::from_str(&line)?;
                if matches!(message, RouterMessage::Resync { .. }) {
                    sent = None;
                    newest.mark_changed();
                }
                hearing.take(message, Instant::now()).await?;
            }
        }
    }
}

/// Sends the last step if it starts where this router is, and the whole table otherwise.
async fn send_newest(
    write: &mut OwnedWriteHalf,
    published: &Published,
    sent: Option<TableVersion>,
) -> anyhow::Result<TableVersion> {
    let step = published.update.as_ref().filter(|update| match update {
        RouteUpdate::Delta { base, .. } => Some(*base) == sent,
        RouteUpdate::Full { .. } => false,
    });
    let mut line = match step {
        Some(step) => serde_json::to_vec(step)?,
        None => serde_json::to_vec(&published.publisher.full())?,
    };
    line.push(b'\n');
    timeout(SEND_DEADLINE, write.write_all(&line)).await.context("the router does not read")??;
    Ok(published.publisher.at())
}
