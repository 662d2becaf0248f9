//! Agents' connections: one WebSocket each, opened by the agent.

use std::time::{Duration, Instant};

use axum::extract::ws::{Message, WebSocket};
use dinp_common::name::ClusterId;
use dinp_common::wire::{AgentMessage, Assignments, Hello, PROTOCOL, ServerMessage};
use dinp_store::Store;
use tokio::time::{timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::cluster::{AgentLink, Cluster};

/// How long a new connection may take to say who it is, and any one message to be sent.
const DEADLINE: Duration = Duration::from_secs(5);
/// Agents report every second; one that is silent this long has lost its connection.
const SILENCE: Duration = Duration::from_secs(10);

/// Serves one agent until its connection ends. `allowed` is the node its token was made for: no agent speaks for another.
pub async fn serve(
    mut socket: WebSocket,
    allowed: String,
    cluster: Cluster,
    store: Store,
    ours: ClusterId,
    shutdown: CancellationToken,
) {
    let hello = match greet(&mut socket, &allowed, &ours).await {
        Ok(hello) => hello,
        Err(why) => {
            tracing::warn!(why, "an agent's connection was refused");
            return;
        }
    };
    let recorded = async {
        let outcome = store.node_record(&hello.node).await;
        outcome.inspect_err(|error| tracing::warn!(node = %hello.node, %error, "a node cannot be recorded just now"))
    };
    // One that was heard before is recorded, unless the database has lost it since. While the database is away it must
    // be heard all the same, or its instances would be replaced when the database is back.
    if cluster.knows(&hello.node) {
        let talking = converse(&mut socket, &hello, &cluster, &shutdown);
        let ((), _) = tokio::join!(talking, recorded);
    } else if recorded.await.is_ok() {
        converse(&mut socket, &hello, &cluster, &shutdown).await;
    }
}

/// Takes in the agent of a node and serves it to the end of its connection.
async fn converse(socket: &mut WebSocket, hello: &Hello, cluster: &Cluster, shutdown: &CancellationToken) {
    tracing::info!(node = %hello.node, version = hello.facts.version, "agent connected");
    let mut link = cluster.agent_joined(hello, Instant::now());
    cluster.nudge();
    let why = talk(socket, &mut link, cluster, shutdown, SILENCE).await;
    tracing::info!(node = %link.node(), why, "agent disconnected");
}

async fn greet(socket: &mut WebSocket, allowed: &str, ours: &ClusterId) -> Result<Hello, String> {
    let first = timeout(DEADLINE, socket.recv()).await.map_err(|_| "it did not say who it is in time".to_owned())?;
    let Some(Ok(Message::Text(text))) = first else { return Err("it ended before it said who it is".to_owned()) };
    let AgentMessage::Hello(hello) = serde_json::from_str(&text).map_err(|error| format!("its first message: {error}"))? else {
        return Err("its first message was not a greeting".to_owned());
    };
    if hello.protocol != PROTOCOL {
        return Err(format!("node {} speaks protocol {}, and this server {PROTOCOL}", hello.node, hello.protocol));
    }
    if hello.node.as_str() != allowed {
        return Err(format!("its token is for node {allowed}, and it says it is {}", hello.node));
    }
    if let Some(theirs) = hello.cluster.as_ref().filter(|theirs| *theirs != ours) {
        return Err(format!("node {} belongs to cluster {theirs}, not to {ours}", hello.node));
    }
    let welcome = ServerMessage::Welcome { cluster: ours.clone(), server: env!("CARGO_PKG_VERSION").to_owned() };
    send(socket, &welcome).await?;
    Ok(hello)
}

/// Passes messages both ways; answers why it ended.
async fn talk(
    socket: &mut WebSocket,
    link: &mut AgentLink,
    cluster: &Cluster,
    shutdown: &CancellationToken,
    silence: Duration,
) -> String {
    // Kept over the rounds: what is sent to an agent is no sign of life from it.
    let mut heard = tokio::time::Instant::now();
    loop {
        // Every branch is cancel-safe: a socket's `recv`, a watch's `changed` and a channel's `recv` lose nothing.
        let outcome = tokio::select! {
            () = shutdown.cancelled() => return "this server stops".to_owned(),
            changed = link.assignments.changed() => match changed {
                Ok(()) => {
                    let assignments: Option<Assignments> = link.assignments.borrow_and_update().clone();
                    match assignments {
                        Some(assignments) => send(socket, &ServerMessage::Assign(assignments)).await,
                        None => Ok(()),
                    }
                }
                Err(_) => return "a newer connection of this node took over".to_owned(),
            },
            message = link.messages.recv() => match message {
                Some(message) => send(socket, &message).await,
                None => return "a newer connection of this node took over".to_owned(),
            },
            received = timeout_at(heard + silence, socket.recv()) => match received {
                Err(_) => return "it has been silent for too long".to_owned(),
                Ok(None) => return "it closed the connection".to_owned(),
                Ok(Some(Err(error))) => return error.to_string(),
                Ok(Some(Ok(message))) => {
                    heard = tokio::time::Instant::now();
                    receive(message, link, cluster)
                }
            },
        };
        if let Err(why) = outcome {
            return why;
        }
    }
}

fn receive(message: Message, link: &AgentLink, cluster: &Cluster) -> Result<(), String> {
    let Message::Text(text) = message else { return Ok(()) };
    match serde_json::from_str(&text).map_err(|error| format!("an unreadable message: {error}"))? {
        AgentMessage::Hello(_) => return Err("a second greeting".to_owned()),
        AgentMessage::Report(report) => link.report(report, Instant::now()),
        AgentMessage::Refused { refusal, highest } => {
            tracing::warn!(node = %link.node(), %refusal, highest = highest.epoch, "assignments refused");
            cluster.raise_epoch(highest.epoch);
        }
        AgentMessage::Lines { ask, lines } => link.lines(ask, lines),
        AgentMessage::Done { ask, error } => link.done(ask, error),
        AgentMessage::Image { ask, image } => link.image(ask, image),
    }
    Ok(())
}

async fn send(socket: &mut WebSocket, message: &ServerMessage) -> Result<(), String> {
    let text = serde_json::to_string(message).map_err(|error| error.to_string())?;
    match timeout(DEADLINE, socket.send(Message::Text(text.into()))).await {
        Ok(sent) => sent.map_err(|error| error.to_string()),
        Err(_) => Err("it does not read what it is sent".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use axum::extract::WebSocketUpgrade;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::explain::fixtures;

    const OPENING: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    #[tokio::test]
    async fn an_agent_that_is_sent_to_and_says_nothing_is_let_go() {
        let cluster = Cluster::new();
        let joined = cluster.clone();
        let serve = move |upgrade: WebSocketUpgrade| async move {
            upgrade.on_upgrade(move |mut socket| async move {
                let mut link = joined.agent_joined(&fixtures::hello(), Instant::now());
                talk(&mut socket, &mut link, &joined, &CancellationToken::new(), Duration::from_millis(300)).await;
            })
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", get(serve))).await });
        // A leader's level comes more often than the silence lasts.
        tokio::spawn(async move {
            loop {
                for (_, outbox) in cluster.outboxes() {
                    outbox.assignments.send_replace(Some(fixtures::nothing_assigned()));
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let mut agent = TcpStream::connect(address).await.expect("connects");
        agent.write_all(OPENING).await.expect("is sent");
        let all = timeout(Duration::from_secs(10), agent.read_to_end(&mut Vec::new())).await;
        assert!(all.is_ok(), "the connection of a silent agent stays");
    }
}
