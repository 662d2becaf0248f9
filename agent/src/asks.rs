//! Answers to what servers ask: an instance's output, or what an image reference means here.

use std::sync::Arc;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use dinp_common::digest::Image;
use dinp_common::instance::InstanceId;
use dinp_common::wire::{AgentMessage, Ask, LogLine};
use dinp_planner::agent::json_size::json_size;
use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot};

use crate::core::Input;
use crate::engine::Engine;

/// Lines in one message; more wait for the next.
const LINES_PER_MESSAGE: usize = 200;
/// Bytes of lines in one message, as JSON: far below what a message may have, since lines of control characters grow
/// sixfold when they are written.
const BYTES_PER_MESSAGE: usize = 1024 * 1024;
/// Lines that can be asked for from the past.
const TAIL_MAX: u32 = 10_000;

/// Answers an ask: its last message is `Done` for output, `Image` for an image. Stops when the connection's queue is
/// gone.
pub async fn answer(engine: Arc<Engine>, inputs: mpsc::Sender<Input>, ask: u64, asked: Ask, out: mpsc::Sender<AgentMessage>) {
    let last = match asked {
        Ask::Logs { instance, tail, follow } => {
            let wanted = Wanted { instance: &instance, tail, follow };
            AgentMessage::Done { ask, error: stream(&engine, &inputs, ask, wanted, &out).await.err() }
        }
        Ask::Image { reference } => AgentMessage::Image { ask, image: image(&engine, &reference).await },
    };
    // Without a connection there is nobody to answer.
    let _ = out.send(last).await;
}

async fn image(engine: &Engine, reference: &str) -> Result<Image, String> {
    match engine.image(reference).await {
        Ok(image) => Ok(image),
        Err(error) if error.is_missing() => Err(format!("there is no image {reference} on this node")),
        Err(error) => Err(error.to_string()),
    }
}

struct Wanted<'a> {
    instance: &'a InstanceId,
    tail: u32,
    follow: bool,
}

async fn stream(
    engine: &Engine,
    inputs: &mpsc::Sender<Input>,
    ask: u64,
    wanted: Wanted<'_>,
    out: &mpsc::Sender<AgentMessage>,
) -> Result<(), String> {
    let Wanted { instance, tail, follow } = wanted;
    let (answer, found) = oneshot::channel();
    let find = Input::Find { instance: instance.clone(), answer };
    inputs.send(find).await.map_err(|_| "the agent is stopping")?;
    let container = found.await.ok().flatten().ok_or("this instance has no container on this node")?;
    let docker = engine.stream().await.map_err(|error| error.to_string())?;
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .follow(follow)
        .tail(&tail.min(TAIL_MAX).to_string())
        .build();
    let pieces = docker.logs(&container, Some(options));
    let mut batches = std::pin::pin!(pieces.ready_chunks(LINES_PER_MESSAGE));
    while let Some(batch) = batches.next().await {
        let mut lines = Vec::with_capacity(batch.len());
        let mut failed = None;
        for piece in batch {
            match piece {
                Ok(piece) => lines.push(line(instance, &piece)),
                Err(error) => failed = Some(error.to_string()),
            }
        }
        for lines in messages(lines) {
            out.send(AgentMessage::Lines { ask, lines }).await.map_err(|_| "the connection is gone")?;
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(())
}

/// The lines in order, in as many messages as they need.
fn messages(lines: Vec<LogLine>) -> Vec<Vec<LogLine>> {
    let mut messages: Vec<Vec<LogLine>> = Vec::new();
    let mut left = 0;
    for line in lines {
        let size = json_size(&line.text);
        match messages.last_mut() {
            Some(message) if size <= left => {
                message.push(line);
                left -= size;
            }
            _ => {
                messages.push(vec![line]);
                left = BYTES_PER_MESSAGE.saturating_sub(size);
            }
        }
    }
    messages
}

/// Docker puts a time and a space before each line when asked for timestamps.
fn line(instance: &InstanceId, piece: &LogOutput) -> LogLine {
    let stderr = matches!(piece, LogOutput::StdErr { .. });
    let text = String::from_utf8_lossy(piece.as_ref());
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let (at, text) = text.split_once(' ').unwrap_or((text, ""));
    LogLine { at: at.to_owned(), instance: instance.clone(), stderr, text: text.trim_end_matches('\r').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_time_and_the_rest() {
        let instance = InstanceId::parse("abc123").expect("id");
        let message = "2026-11-21T03:00:00.123456789Z hello  world\n".into();
        let read = line(&instance, &LogOutput::StdErr { message });
        assert_eq!((read.at.as_str(), read.text.as_str(), read.stderr), ("2026-11-21T03:00:00.123456789Z", "hello  world", true));
        let empty = line(&instance, &LogOutput::StdOut { message: "2026-11-21T03:00:00Z \n".into() });
        assert_eq!((empty.text.as_str(), empty.stderr), ("", false));
    }

    #[test]
    fn long_lines_make_several_messages_and_none_is_lost_or_moved() {
        let line = |n: usize| LogLine {
            at: n.to_string(),
            instance: InstanceId::from_sequence(1),
            stderr: false,
            text: "\0".repeat(16 * 1024),
        };
        let lines: Vec<LogLine> = (0..LINES_PER_MESSAGE).map(line).collect();
        let messages = messages(lines.clone());
        for lines in &messages {
            let message = AgentMessage::Lines { ask: 1, lines: lines.clone() };
            let bytes = serde_json::to_string(&message).expect("encodes").len();
            assert!(bytes < BYTES_PER_MESSAGE * 2, "{bytes}");
        }
        assert!(messages.len() < lines.len(), "{}", messages.len());
        assert_eq!(messages.concat(), lines);
    }
}
