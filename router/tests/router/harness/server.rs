//! A server's route feed: publishes tables, and keeps what routers say.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use dinp_common::fence::Fence;
use dinp_common::name::ClusterId;
use dinp_common::route::{RouteTable, RouteUpdate, RouterMessage, RouterStatus, TableVersion};
use dinp_planner::table::Publisher;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

use super::until;

pub struct Server {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    path: PathBuf,
}

struct Shared {
    publisher: Mutex<Publisher>,
    updates: broadcast::Sender<String>,
    /// Every status since the start.
    statuses: watch::Sender<Vec<RouterStatus>>,
    goodbyes: watch::Sender<u32>,
    resyncs: watch::Sender<u32>,
}

pub fn fence(epoch: u64, holder: &str) -> Fence {
    Fence { cluster: ClusterId::parse("lab").expect("cluster"), epoch, holder: holder.to_owned() }
}

impl Server {
    pub fn start(path: PathBuf, epoch: u64) -> Self {
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("bound");
        let shared = Arc::new(Shared {
            publisher: Mutex::new(Publisher::new(fence(epoch, "server"))),
            updates: broadcast::Sender::new(1024),
            statuses: watch::Sender::default(),
            goodbyes: watch::Sender::default(),
            resyncs: watch::Sender::default(),
        });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Self { shared, accepting, path }
    }

    pub fn feed(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    /// Publishes without waiting for anyone.
    pub fn publish(&self, wanted: &RouteTable) -> TableVersion {
        let mut publisher = self.shared.publisher.lock().expect("no panic");
        if let Some(update) = publisher.publish(wanted) {
            self.send(&update);
        }
        publisher.at()
    }

    /// Sends an update as it is, whatever it says.
    pub fn send(&self, update: &RouteUpdate) {
        self.send_line(&serde_json::to_string(update).expect("encodes"));
    }

    pub fn send_line(&self, line: &str) {
        // Without a router connected, nobody gets it; a router that connects gets the whole table.
        let _ = self.shared.updates.send(format!("{line}\n"));
    }

    pub fn full(&self) -> RouteUpdate {
        self.shared.publisher.lock().expect("no panic").full()
    }

    /// Publishes, and waits until the router confirms.
    pub async fn route(&self, wanted: &RouteTable) -> RouterStatus {
        let at = self.publish(wanted);
        self.status("the version to be confirmed", |status| status.confirmed == Some(at)).await
    }

    /// Waits for the newest status to be one.
    pub async fn status(&self, what: &str, is: impl Fn(&RouterStatus) -> bool) -> RouterStatus {
        until(what, async || {
            let newest = self.statuses().pop();
            newest.clone().filter(&is).ok_or_else(|| format!("{newest:?}"))
        })
        .await
    }

    pub fn statuses(&self) -> Vec<RouterStatus> {
        self.shared.statuses.borrow().clone()
    }

    pub fn goodbyes(&self) -> u32 {
        *self.shared.goodbyes.borrow()
    }

    pub fn resyncs(&self) -> u32 {
        *self.shared.resyncs.borrow()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, shared.clone()));
    }
}

async fn serve(stream: UnixStream, shared: Arc<Shared>) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut updates = shared.updates.subscribe();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { return };
                match serde_json::from_str(&line).expect("a router's message") {
                    RouterMessage::Status(status) => shared.statuses.send_modify(|all| all.push(status)),
                    RouterMessage::Goodbye { .. } => shared.goodbyes.send_modify(|count| *count += 1),
                    RouterMessage::Resync { .. } => {
                        shared.resyncs.send_modify(|count| *count += 1);
                        let full = { shared.publisher.lock().expect("no panic").clone() };
                        if full.at().version > 0 {
                            let line = serde_json::to_string(&full.full()).expect("encodes") + "\n";
                            let _ = write.write_all(line.as_bytes()).await;
                        }
                    }
                }
            }
            Ok(line) = updates.recv() => { let _ = write.write_all(line.as_bytes()).await; }
        }
    }
}
