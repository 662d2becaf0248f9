//! A server as the agent sees it: it welcomes, assigns, and remembers what is reported.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use dinp_common::fence::{Fence, FenceRefusal};
use dinp_common::instance::{InstanceId, Seen};
use dinp_common::name::ClusterId;
use dinp_common::node::NodeFacts;
use dinp_common::wire::{
    ASSIGN_EVERY_MS, AgentMessage, AssignmentVersion, Assignments, Hello, ImagesKept, InstanceReport, LogLine, Orphan,
    ServerMessage,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

pub const TOKEN: &str = "a-token-for-tests";
/// How long a condition may take: starting containers on a busy machine is slow.
const WITHIN: Duration = Duration::from_secs(40);

/// Everything the agent has said, put together as a server would.
#[derive(Debug, Clone, Default)]
pub struct View {
    pub hellos: Vec<Hello>,
    pub full: u64,
    pub assignment: Option<AssignmentVersion>,
    pub instances: BTreeMap<InstanceId, InstanceReport>,
    pub cooling: Vec<InstanceId>,
    pub orphans: Vec<Orphan>,
    pub facts: Option<NodeFacts>,
    pub refused: Vec<(FenceRefusal, Fence)>,
    pub lines: Vec<LogLine>,
    pub done: Vec<(u64, Option<String>)>,
    pub images: Vec<Result<dinp_common::digest::Image, String>>,
}

impl View {
    pub fn seen(&self, instance: &InstanceId) -> Option<&Seen> {
        self.instances.get(instance).map(|report| &report.seen)
    }
}

/// What the server sends: the level, again and again while it leads, and single messages.
#[derive(Debug, Clone)]
struct Outgoing {
    level: Option<Assignments>,
    messages: Vec<ServerMessage>,
}

#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    pub cluster: ClusterId,
    view: watch::Receiver<View>,
    outgoing: watch::Sender<Outgoing>,
    open: watch::Sender<bool>,
    pub epoch: u64,
    pub revision: u64,
}

impl Server {
    pub async fn start(cluster: ClusterId) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("address");
        let (said, view) = watch::channel(View::default());
        let (outgoing, _) = watch::channel(Outgoing { level: None, messages: Vec::new() });
        let (open, opened) = watch::channel(true);
        let (sending, joined) = (outgoing.clone(), cluster.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (said, sending, opened) = (said.clone(), sending.subscribe(), opened.clone());
                tokio::spawn(session(stream, joined.clone(), said, sending, opened));
            }
        });
        Self { address, cluster, view, outgoing, open, epoch: 1, revision: 0 }
    }

    /// Puts a level in force and keeps saying it.
    pub fn assign(&mut self, instances: Vec<dinp_common::wire::Assignment>, released: Vec<InstanceId>) {
        self.assign_images(instances, released, ImagesKept::default());
    }

    pub fn assign_images(
        &mut self,
        instances: Vec<dinp_common::wire::Assignment>,
        released: Vec<InstanceId>,
        images: ImagesKept,
    ) {
        self.revision += 1;
        let fence = Fence { cluster: self.cluster.clone(), epoch: self.epoch, holder: "tests".to_owned() };
        let level = Assignments { fence, revision: self.revision, instances, released, images };
        self.outgoing.send_modify(|outgoing| outgoing.level = Some(level));
    }

    pub fn send(&self, message: ServerMessage) {
        self.outgoing.send_modify(|outgoing| outgoing.messages.push(message));
    }

    /// Nobody leads any more: every connection ends, and none is taken.
    pub fn vanish(&self) {
        self.open.send_replace(false);
    }

    pub fn come_back(&self) {
        self.open.send_replace(true);
    }

    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Waits until what the agent has said fits, and returns it; panics with the last state otherwise.
    pub async fn until(&self, what: &str, fits: impl Fn(&View) -> bool) -> View {
        let mut view = self.view.clone();
        match tokio::time::timeout(WITHIN, view.wait_for(|view| fits(view))).await {
            Ok(view) => view.expect("the server lives").clone(),
            Err(_) => panic!("waited for: {what}; last seen: {:#?}", self.view.borrow()),
        }
    }

    pub async fn until_seen(&self, instance: &InstanceId, what: &str, fits: impl Fn(&Seen) -> bool) -> Seen {
        let view = self.until(what, |view| view.seen(instance).is_some_and(&fits)).await;
        view.seen(instance).expect("it was seen").clone()
    }
}

async fn session(
    stream: TcpStream,
    cluster: ClusterId,
    said: watch::Sender<View>,
    mut sending: watch::Receiver<Outgoing>,
    mut open: watch::Receiver<bool>,
) {
    if !*open.borrow() {
        return;
    }
    #[allow(clippy::result_large_err, reason = "the signature is tungstenite's")]
    let check = |request: &Request, response: Response| -> Result<Response, ErrorResponse> {
        assert_eq!(request.uri().path(), "/v1/agent");
        assert_eq!(request.headers()["authorization"], format!("Bearer {TOKEN}"));
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, check).await.expect("a handshake");
    let text = |message: &ServerMessage| Message::text(serde_json::to_string(message).expect("writes"));
    let mut told = sending.borrow().messages.len();
    let mut level_sent = 0;
    let mut again = tokio::time::interval(Duration::from_millis(ASSIGN_EVERY_MS));
    let mut greeted = false;
    loop {
        tokio::select! {
            _ = async { open.wait_for(|open| !open).await.map(drop) } => return,
            received = socket.next() => {
                let Some(Ok(message)) = received else { return };
                let Message::Text(message) = message else { continue };
                let message: AgentMessage = serde_json::from_str(&message).expect("the agent speaks the protocol");
                if matches!(message, AgentMessage::Hello(_)) {
                    greeted = true;
                    let welcome = ServerMessage::Welcome { cluster: cluster.clone(), server: "tests".to_owned() };
                    if socket.send(text(&welcome)).await.is_err() { return }
                    again.reset_immediately();
                }
                said.send_modify(|view| take_in(view, message));
            }
            _ = again.tick(), if greeted => {
                let level = sending.borrow().level.clone();
                if let Some(level) = level
                    && socket.send(text(&ServerMessage::Assign(level))).await.is_err() { return }
            }
            changed = sending.changed(), if greeted => {
                if changed.is_err() { return }
                let Outgoing { level, messages } = sending.borrow_and_update().clone();
                let fresh = level.filter(|level| level.revision > level_sent).inspect(|level| level_sent = level.revision);
                let news = messages.iter().skip(told).cloned().chain(fresh.map(ServerMessage::Assign));
                told = messages.len();
                for message in news {
                    if socket.send(text(&message)).await.is_err() { return }
                }
            }
        }
    }
}

fn take_in(view: &mut View, message: AgentMessage) {
    match message {
        AgentMessage::Hello(hello) => {
            view.hellos.push(hello);
            view.full = 0;
        }
        AgentMessage::Report(report) => {
            if report.full {
                view.full += 1;
                view.instances = report.instances;
            } else {
                view.instances.extend(report.instances);
            }
            view.assignment = report.assignment;
            view.cooling = report.cooling;
            view.orphans = report.orphans;
            view.facts = Some(report.facts);
        }
        AgentMessage::Refused { refusal, highest } => view.refused.push((refusal, highest)),
        AgentMessage::Lines { lines, .. } => view.lines.extend(lines),
        AgentMessage::Done { ask, error } => view.done.push((ask, error)),
        AgentMessage::Image { image, .. } => view.images.push(image),
    }
}
