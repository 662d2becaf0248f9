//! One session: hello, welcome, then reports one way and assignments the other, until something fails.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use dinp_common::limits::WIRE_MESSAGE_BYTES;
use dinp_common::wire::{AgentMessage, Ask, Hello, PROTOCOL, ServerMessage};
use dinp_daemon::beat;
use dinp_planner::agent::told::{self, Told};
use futures_util::{SinkExt, StreamExt};
use http::Uri;
use http::header::AUTHORIZATION;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::Shared;
use crate::asks;
use crate::core::{Input, Refusal};

/// Deadline of the connection, the handshake and the welcome, each.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// Deadline for one message to leave.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// A report leaves at least this often; every second one is full.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often a ping is sent, and how long the server may be silent.
const PING_EVERY: Duration = Duration::from_secs(5);
const SILENT_MAX: Duration = Duration::from_secs(15);
/// Questions answered at once on one connection.
const ASKS_AT_ONCE: usize = 32;
/// Answers that wait for the connection; whoever makes more waits too.
const ANSWERS: usize = 64;

type Socket = WebSocketStream<TcpStream>;

/// Runs a session until it fails, and returns why.
pub async fn run(server: &Uri, shared: &Shared, seq: &mut u64) -> anyhow::Error {
    match talk(server, shared, seq).await {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

async fn talk(server: &Uri, shared: &Shared, seq: &mut u64) -> anyhow::Result<Infallible> {
    let mut socket = open(server, shared).await?;
    greet(server, shared, &mut socket).await?;
    let (answers, waiting) = mpsc::channel(ANSWERS);
    let mut shared = shared.clone();
    let session = Session { socket, told: Told::default(), asks: HashMap::new(), answers, heard: Instant::now() };
    session.run(&mut shared, seq, waiting).await
}

async fn open(server: &Uri, shared: &Shared) -> anyhow::Result<Socket> {
    let token = std::fs::read_to_string(&shared.token_file)
        .with_context(|| format!("the token file {} cannot be read", shared.token_file.display()))?;
    let mut request = server.clone().into_client_request()?;
    request.headers_mut().insert(AUTHORIZATION, format!("Bearer {}", token.trim()).parse().context("the token is no token")?);
    let (host, port) = (server.host().unwrap_or_default(), server.port_u16().unwrap_or(80));
    let stream = tokio::time::timeout(OPEN_WITHIN, TcpStream::connect((host, port))).await.context("it does not answer")??;
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(WIRE_MESSAGE_BYTES))
        .max_frame_size(Some(WIRE_MESSAGE_BYTES))
        .read_buffer_size(16 * 1024)
        .write_buffer_size(16 * 1024);
    let handshake = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
    let (socket, _) = tokio::time::timeout(OPEN_WITHIN, handshake).await.context("it does not answer")??;
    Ok(socket)
}

async fn greet(server: &Uri, shared: &Shared, socket: &mut Socket) -> anyhow::Result<()> {
    let gate = shared.gate.borrow().clone();
    let mut facts = shared.facts.borrow().clone();
    facts.capacity.addresses = shared.observed.borrow().addresses;
    let hello = Hello {
        protocol: PROTOCOL,
        node: shared.node.clone(),
        cluster: gate.as_ref().map(|gate| gate.cluster().clone()),
        boot: shared.boot.clone(),
        facts,
        highest: gate.as_ref().and_then(|gate| gate.accepted().cloned()),
    };
    send(socket, &AgentMessage::Hello(hello)).await?;
    let first = tokio::time::timeout(OPEN_WITHIN, next(socket)).await.context("it does not welcome this node")??;
    let Some(ServerMessage::Welcome { cluster, server: name }) = first else { bail!("its first message is no welcome") };
    let (answer, welcomed) = oneshot::channel();
    shared.inputs.send(Input::Welcome { cluster, answer }).await?;
    welcomed.await?.map_err(|why| anyhow!(why))?;
    tracing::info!(%server, name, "connected");
    Ok(())
}

struct Session {
    socket: Socket,
    told: Told,
    asks: HashMap<u64, AbortHandle>,
    answers: mpsc::Sender<AgentMessage>,
    heard: Instant,
}

impl Session {
    async fn run(
        mut self,
        shared: &mut Shared,
        seq: &mut u64,
        mut waiting: mpsc::Receiver<AgentMessage>,
    ) -> anyhow::Result<Infallible> {
        self.report(shared, seq, Kind::Full).await?;
        let mut heartbeat = std::pin::pin!(sleep_until(beat::within(HEARTBEAT)));
        let mut ping = std::pin::pin!(sleep_until(Instant::now()));
        let mut beats = 0u64;
        loop {
            // All branches are cancel-safe: a message, a change or an answer is taken only by the branch that runs.
            // A change of what is seen goes first: it may be a crash.
            tokio::select! {
                biased;
                changed = shared.observed.changed() => {
                    changed?;
                    self.report(shared, seq, Kind::Change).await?;
                }
                message = next(&mut self.socket) => {
                    self.heard = Instant::now();
                    if let Some(message) = message? {
                        self.take_in(shared, message).await?;
                    }
                }
                () = &mut heartbeat => {
                    heartbeat.as_mut().reset(beat::within(HEARTBEAT));
                    beats += 1;
                    let kind = if beats.is_multiple_of(2) { Kind::Full } else { Kind::Heartbeat };
                    self.report(shared, seq, kind).await?;
                }
                () = &mut ping => {
                    ping.as_mut().reset(beat::within(PING_EVERY));
                    ensure!(self.heard.elapsed() < SILENT_MAX, "the server is silent");
                    bounded(self.socket.send(Message::Ping(Default::default()))).await?;
                }
                Some(answer) = waiting.recv() => {
                    if let AgentMessage::Done { ask, .. } | AgentMessage::Image { ask, .. } = &answer {
                        self.asks.remove(ask);
                    }
                    send(&mut self.socket, &answer).await?;
                }
            }
        }
    }

    async fn report(&mut self, shared: &mut Shared, seq: &mut u64, kind: Kind) -> anyhow::Result<()> {
        let observed = shared.observed.borrow_and_update().clone();
        let facts = shared.facts.borrow().clone();
        let report = match kind {
            Kind::Full => Some(self.told.full(&shared.boot, seq, &observed, &facts)),
            Kind::Change => self.told.change(&shared.boot, seq, &observed, &facts),
            Kind::Heartbeat => {
                let change = self.told.change(&shared.boot, seq, &observed, &facts);
                Some(change.unwrap_or_else(|| told::heartbeat(&shared.boot, seq, &observed, &facts)))
            }
        };
        match report {
            Some(report) => send(&mut self.socket, &AgentMessage::Report(report)).await,
            None => Ok(()),
        }
    }

    async fn take_in(&mut self, shared: &Shared, message: ServerMessage) -> anyhow::Result<()> {
        match message {
            ServerMessage::Welcome { .. } => bail!("it welcomes this node twice"),
            ServerMessage::Assign(assignments) => {
                let (answer, admitted) = oneshot::channel();
                shared.inputs.send(Input::Assign { assignments, answer }).await?;
                match admitted.await? {
                    Ok(()) => {}
                    Err(Refusal::Fence { refusal, highest }) => {
                        tracing::warn!("assignments are refused: {refusal}");
                        send(&mut self.socket, &AgentMessage::Refused { refusal, highest }).await?;
                    }
                    Err(Refusal::Disk(why)) => bail!("its assignments cannot be taken: {why}"),
                }
            }
            ServerMessage::Ask { id, ask } => self.ask(shared, id, ask).await?,
            ServerMessage::Cancel { id } => {
                if let Some(task) = self.asks.remove(&id) {
                    task.abort();
                }
            }
        }
        Ok(())
    }

    async fn ask(&mut self, shared: &Shared, id: u64, ask: Ask) -> anyhow::Result<()> {
        if self.asks.len() >= ASKS_AT_ONCE {
            let why = format!("this node answers {ASKS_AT_ONCE} questions at once, and no more now");
            let refusal = match ask {
                Ask::Logs { .. } => AgentMessage::Done { ask: id, error: Some(why) },
                Ask::Image { .. } => AgentMessage::Image { ask: id, image: Err(why) },
            };
            return send(&mut self.socket, &refusal).await;
        }
        let answer = asks::answer(shared.engine.clone(), shared.inputs.clone(), id, ask, self.answers.clone());
        let task = tokio::spawn(answer).abort_handle();
        if let Some(before) = self.asks.insert(id, task) {
            before.abort();
        }
        Ok(())
    }
}

/// Nobody is left to read the answers.
impl Drop for Session {
    fn drop(&mut self) {
        for task in self.asks.values() {
            task.abort();
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Full,
    Change,
    Heartbeat,
}

/// The next message, or `None` for one that only says that the server lives.
async fn next(socket: &mut Socket) -> anyhow::Result<Option<ServerMessage>> {
    match socket.next().await.context("it closed the connection")?? {
        Message::Text(text) => Ok(Some(serde_json::from_str(&text).context("its message cannot be understood")?)),
        Message::Close(frame) => match frame {
            Some(frame) => bail!("it closed the connection: {} {}", frame.code, frame.reason),
            None => bail!("it closed the connection"),
        },
        Message::Binary(_) => bail!("it sent a binary message"),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
    }
}

async fn send(socket: &mut Socket, message: &AgentMessage) -> anyhow::Result<()> {
    let text = serde_json::to_string(message)?;
    bounded(socket.send(Message::text(text))).await
}

async fn bounded(sent: impl Future<Output = Result<(), tokio_tungstenite::tungstenite::Error>>) -> anyhow::Result<()> {
    Ok(tokio::time::timeout(SEND_WITHIN, sent).await.context("it takes no more messages")??)
}
