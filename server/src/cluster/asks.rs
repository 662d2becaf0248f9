//! Questions to agents: what an instance wrote, what an image reference means.

use std::time::Duration;

use dinp_common::digest::Image;
use dinp_common::name::NodeName;
use dinp_common::wire::{Ask, LogLine, ServerMessage};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Cluster, nodes};

/// Log lines that may wait for one reader.
const LINES: usize = 4_096;
/// Questions one agent may have open at once.
const ASKS_PER_NODE: usize = 64;
/// How long an agent may take to look an image up.
const IMAGE_DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("node {0} is not connected, or has too many questions open")]
    NotConnected(NodeName),
    #[error("node {0} did not answer in time")]
    Late(NodeName),
    #[error("no node is connected")]
    NoNode,
    /// The node answered, and there is no such thing.
    #[error("{0}")]
    Refused(String),
}

impl Cluster {
    /// Asks a node for lines. Dropping the receiver cancels the question.
    pub async fn logs(&self, node: &NodeName, ask: Ask) -> Result<mpsc::Receiver<Result<LogLine, String>>, AskError> {
        let not_connected = || AskError::NotConnected(node.clone());
        let (lines, reader) = mpsc::channel(LINES);
        let ended = CancellationToken::new();
        let open = nodes::Ask::Lines(lines.clone(), ended.clone().drop_guard());
        let (id, outbox) = self.0.nodes.ask(node, ASKS_PER_NODE, open).ok_or_else(not_connected)?;
        outbox.messages.try_send(ServerMessage::Ask { id, ask }).map_err(|_| not_connected())?;
        let (cluster, node) = (self.clone(), node.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = lines.closed() => {
                    cluster.0.nodes.close(&node, id);
                    let _ = outbox.messages.try_send(ServerMessage::Cancel { id });
                }
            }
        });
        Ok(reader)
    }

    /// Asks any connected node what an image reference means.
    pub async fn image(&self, reference: &str) -> Result<Image, AskError> {
        let (node, _) = self.outboxes().into_iter().next().ok_or(AskError::NoNode)?;
        let (reply, answer) = oneshot::channel();
        let not_connected = || AskError::NotConnected(node.clone());
        let (id, outbox) = self.0.nodes.ask(&node, ASKS_PER_NODE, nodes::Ask::Image(reply)).ok_or_else(not_connected)?;
        let ask = Ask::Image { reference: reference.to_owned() };
        outbox.messages.try_send(ServerMessage::Ask { id, ask }).map_err(|_| not_connected())?;
        match tokio::time::timeout(IMAGE_DEADLINE, answer).await {
            Ok(Ok(Ok(image))) => Ok(image),
            Ok(Ok(Err(why))) => Err(AskError::Refused(why)),
            Ok(Err(_)) => Err(not_connected()),
            Err(_) => {
                self.0.nodes.close(&node, id);
                Err(AskError::Late(node))
            }
        }
    }
}
