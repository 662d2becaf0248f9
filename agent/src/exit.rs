//! How a container ended: its code, whether memory ran out, and its last output.

use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::LogsOptionsBuilder;
use dinp_common::exit::Exit;
use dinp_common::limits::LAST_OUTPUT_BYTES;
use dinp_planner::agent::Found;
use futures_util::StreamExt;

use crate::engine::{Engine, READ_DEADLINE};

/// How long a report of a crash may wait for its details, once Docker has announced the end and the code. This takes
/// milliseconds unless the machine is very busy, and an instance that has ended is reported unhealthy meanwhile.
const DETAILS_WITHIN: Duration = Duration::from_secs(3);
/// Lines read back; the last 32 KiB of them are kept.
const LINES: &str = "1000";

/// Reads how a container ended. With a code that Docker has announced, this takes no longer than 3 s and falls back
/// on that code alone.
pub async fn examine(engine: &Engine, container: &str, code: Option<i64>) -> Found {
    let within = if code.is_some() { DETAILS_WITHIN } else { READ_DEADLINE };
    let mut output = Vec::new();
    let inspect = tokio::time::timeout(within, engine.inspect(container));
    let read = tokio::time::timeout(within, last_output(engine, container, &mut output));
    let (inspected, read) = tokio::join!(inspect, read);
    if !matches!(read, Ok(Ok(()))) {
        tracing::warn!(container, "its last output could be read in part only");
    }
    let output = text(output);
    let state = match inspected {
        Ok(Ok(inspected)) => inspected.state,
        Ok(Err(error)) if error.is_missing() => return Found::Missing,
        Ok(Err(error)) => return code.map_or(Found::Failed(error.to_string()), |code| ended(code, false, output)),
        Err(_) => return code.map_or(Found::Failed("Docker does not answer".into()), |code| ended(code, false, output)),
    };
    match state {
        Some(state) if state.running == Some(true) => Found::Running,
        Some(state) => ended(state.exit_code.or(code).unwrap_or(-1), state.oom_killed.unwrap_or(false), output),
        None => Found::Failed("Docker tells nothing of its state".to_owned()),
    }
}

fn ended(code: i64, oom: bool, output: String) -> Found {
    Found::Ended(Exit { code, oom, output })
}

async fn last_output(engine: &Engine, container: &str, output: &mut Vec<u8>) -> Result<(), String> {
    // When a whole machine's containers end at once, Docker is not asked for all their output at once.
    let _room = engine.room().await.map_err(|error| error.to_string())?;
    let docker: Docker = engine.stream().await.map_err(|error| error.to_string())?;
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(LINES).build();
    let mut pieces = std::pin::pin!(docker.logs(container, Some(options)));
    while let Some(piece) = pieces.next().await {
        output.extend_from_slice(piece.map_err(|error| error.to_string())?.as_ref());
        if output.len() > 2 * LAST_OUTPUT_BYTES {
            output.drain(..output.len() - LAST_OUTPUT_BYTES);
        }
    }
    Ok(())
}

/// The last 32 KiB as text, from a line's beginning where something had to go.
fn text(mut output: Vec<u8>) -> String {
    if output.len() > LAST_OUTPUT_BYTES {
        output.drain(..output.len() - LAST_OUTPUT_BYTES);
        let line = output.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        output.drain(..line);
    }
    let mut text = String::from_utf8_lossy(&output).into_owned();
    // Replacement characters are longer than what they replace.
    while text.len() > LAST_OUTPUT_BYTES {
        let excess = text.len() - LAST_OUTPUT_BYTES;
        text.drain(..text.ceil_char_boundary(excess));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_is_cut_at_a_line() {
        let lines: String = (0..10_000).map(|n| format!("line {n}\n")).collect();
        let cut = text(lines.into_bytes());
        assert!(cut.len() <= LAST_OUTPUT_BYTES && cut.len() > LAST_OUTPUT_BYTES - 20);
        assert!(cut.starts_with("line ") && cut.ends_with("line 9999\n"));
        let junk = text(vec![0xff; LAST_OUTPUT_BYTES]);
        assert!(junk.len() <= LAST_OUTPUT_BYTES);
    }
}
