//! What an app's instances write.

use std::time::Duration;

use dinp_client::LogQuery;
use dinp_common::instance::InstanceId;
use dinp_common::wire::LogLine;
use futures_util::StreamExt;
use owo_colors::{AnsiColors, OwoColorize};

use super::failure::Failure;
use super::output::Output;
use super::session::Session;
use super::words;
use crate::args::Logs;

/// How long to leave between two tries to open a lost stream again.
const AGAIN: Duration = Duration::from_secs(1);
/// Colours that tell instances apart; the id stands beside each line.
const COLOURS: [AnsiColors; 6] =
    [AnsiColors::Cyan, AnsiColors::Green, AnsiColors::Magenta, AnsiColors::Blue, AnsiColors::Yellow, AnsiColors::BrightCyan];

pub async fn run(session: &Session, args: Logs) -> Result<(), Failure> {
    let chosen = session.named(&args.named)?;
    let client = session.client()?;
    let mut query = LogQuery { tail: Some(args.lines), follow: args.follow, instance: args.instance };
    let mut lines = client.logs(&chosen.app, &query).await?;
    loop {
        match lines.next().await {
            Some(Ok(line)) => print(&session.out, &line)?,
            None if !args.follow => return Ok(()),
            Some(Err(error)) if !(args.follow && error.is_passing()) => return Err(error.into()),
            // A restarted server ends the stream. What was written meanwhile is in `dinp logs`.
            Some(Err(_)) | None => {
                session.out.say(words::STREAM_LOST);
                query.tail = Some(0);
                lines = loop {
                    tokio::time::sleep(AGAIN).await;
                    match client.logs(&chosen.app, &query).await {
                        Ok(lines) => break lines,
                        Err(error) if error.is_passing() => {}
                        Err(error) => return Err(error.into()),
                    }
                };
            }
        }
    }
}

fn print(out: &Output, line: &LogLine) -> Result<(), Failure> {
    if out.item(line)? {
        return Ok(());
    }
    let label = line.instance.to_string().color(colour(&line.instance)).to_string();
    let when = if out.verbose { format!("{} ", line.at) } else { String::new() };
    out.line(format!("{when}{label}  {}", line.text));
    Ok(())
}

fn colour(instance: &InstanceId) -> AnsiColors {
    let sum: usize = instance.as_str().bytes().map(usize::from).sum();
    COLOURS[sum % COLOURS.len()]
}
