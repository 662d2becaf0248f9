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

/// An instance's output, as its node sends it.
#[derive(Debug)]
pub struct Output {
    node: NodeName,
    lines: mpsc::Receiver<LogLine>,
    end: oneshot::Receiver<Result<(), String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("node {0} is not connected, or has too many questions open")]
    NotConnected(NodeName),
    #[error("node {0} did not answer in time")]
    Late(NodeName),
    #[error("the connection to node {0} was lost before the end")]
    Lost(NodeName),
    #[error("no node is connected")]
    NoNode,
    /// The node answered, and there is no such thing.
    #[error("{0}")]
    Refused(String),
}

impl Output {
    /// The next line; `None` after the last.
    pub async fn next(&mut self) -> Option<LogLine> {
        self.lines.recv().await
    }

    /// After the last line: whether that was all.
    pub async fn end(self) -> Result<(), AskError> {
        match self.end.await {
            Ok(said) => said.map_err(AskError::Refused),
            Err(_) => Err(AskError::Lost(self.node)),
        }
    }
}

impl Cluster {
    /// Asks a node for lines. Dropping the answer cancels the question.
    pub fn logs(&self, node: &NodeName, ask: Ask) -> Result<Output, AskError> {
        let not_connected = || AskError::NotConnected(node.clone());
        let (lines, reader) = mpsc::channel(LINES);
        let (end, said) = oneshot::channel();
        let ended = CancellationToken::new();
        let open = nodes::Ask::Lines(lines.clone(), end, ended.clone().drop_guard());
        let (id, outbox) = self.0.nodes.ask(node, ASKS_PER_NODE, open).ok_or_else(not_connected)?;
        self.send_ask(node, &outbox, id, ask)?;
        let output = Output { node: node.clone(), lines: reader, end: said };
        let (cluster, node) = (self.clone(), node.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = lines.closed() => {
                    cluster.0.nodes.close(&node, id);
                    // Waits for its place: an agent that is not told answers for ever. An error is a connection that has
                    // ended, and the answer with it.
                    let _ = outbox.messages.send(ServerMessage::Cancel { id }).await;
                }
            }
        });
        Ok(output)
    }

    /// A question that cannot be sent is open no more.
    fn send_ask(&self, node: &NodeName, outbox: &nodes::Outbox, id: u64, ask: Ask) -> Result<(), AskError> {
        outbox.messages.try_send(ServerMessage::Ask { id, ask }).map_err(|_| {
            self.0.nodes.close(node, id);
            AskError::NotConnected(node.clone())
        })
    }

    /// Asks any connected node what an image reference means.
    pub async fn image(&self, reference: &str) -> Result<Image, AskError> {
        let (node, _) = self.outboxes().into_iter().next().ok_or(AskError::NoNode)?;
        let (reply, answer) = oneshot::channel();
        let not_connected = || AskError::NotConnected(node.clone());
        let (id, outbox) = self.0.nodes.ask(&node, ASKS_PER_NODE, nodes::Ask::Image(reply)).ok_or_else(not_connected)?;
        let ask = Ask::Image { reference: reference.to_owned() };
        self.send_ask(&node, &outbox, id, ask)?;
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::explain::fixtures;

    fn ask() -> Ask {
        Ask::Logs { instance: fixtures::instance_id(), tail: 1, follow: true }
    }

    #[tokio::test]
    async fn questions_that_could_not_be_sent_do_not_count_as_open() {
        let cluster = Cluster::new();
        let hello = fixtures::hello();
        let mut link = cluster.agent_joined(&hello, Instant::now());
        let mut readers = Vec::new();
        for _ in 0..ASKS_PER_NODE {
            readers.push(cluster.logs(&hello.node, ask()).expect("there is room"));
        }
        readers.clear();
        // Their tasks close them; the agent reads nothing, so its queue stays full.
        while cluster.0.nodes.open(&hello.node) > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..ASKS_PER_NODE {
            assert!(cluster.logs(&hello.node, ask()).is_err(), "the queue is full");
        }
        let asked = async {
            while cluster.logs(&hello.node, ask()).is_err() {
                link.messages.recv().await.expect("is connected");
            }
        };
        tokio::time::timeout(Duration::from_secs(10), asked).await.expect("the agent reads again");
    }
}
