//! What happened, and why.

use dinp_client::EventQuery;
use dinp_common::event::{Event, Severity};
use dinp_common::name::AppName;
use futures_util::StreamExt;

use super::failure::Failure;
use super::output::{Output, ago, state_word, wrap};
use super::session::{Session, app_of_environment};
use super::words;
use crate::args::Events;

pub async fn run(session: &Session, args: Events) -> Result<(), Failure> {
    let client = session.client()?;
    let query = EventQuery { app: filter(session, &args)?, limit: Some(args.lines), ..EventQuery::default() };
    let mut events = client.events(&query).await?.items;
    // The server answers newest first; on a terminal the newest stands at the bottom, next to the eye.
    events.reverse();
    if !args.follow {
        return session.out.list(
            &events,
            |event| event.kind.clone(),
            |events| {
                if events.is_empty() {
                    return session.out.say(words::NOTHING_YET);
                }
                events.iter().for_each(|event| print(&session.out, event, &ago(&event.at)));
            },
        );
    }
    let mut last = events.last().map(|event| event.id);
    for event in &events {
        followed(&session.out, event)?;
    }
    loop {
        let mut stream =
            client.events_follow(&EventQuery { app: query.app.clone(), after: last, ..EventQuery::default() }).await?;
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    followed(&session.out, &event)?;
                    last = Some(event.id);
                }
                Err(error) if error.is_passing() => break,
                Err(error) => return Err(error.into()),
            }
        }
        session.out.say(words::STREAM_LOST);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

/// Events belong to the whole platform, so the folder's `dinp.toml` does not narrow them.
fn filter(session: &Session, args: &Events) -> Result<Option<AppName>, Failure> {
    match (&args.named.name, &session.globals.app) {
        (Some(_), _) | (_, Some(_)) => session.named(&args.named).map(|chosen| Some(chosen.app)),
        (None, None) => app_of_environment(),
    }
}

fn followed(out: &Output, event: &Event) -> Result<(), Failure> {
    if !out.item(event)? {
        print(out, event, &event.at);
    }
    Ok(())
}

fn print(out: &Output, event: &Event, when: &str) {
    let app = event.app.as_deref().unwrap_or("-");
    let mark = match event.severity {
        Severity::Info => String::new(),
        Severity::Warning => format!("{} ", state_word("warning")),
        Severity::Error => format!("{} ", state_word("error")),
    };
    let by = if event.actor == "dinp" { String::new() } else { format!(" ({})", event.actor) };
    out.line(format!("{when:<12}  {app:<16}  {mark}{}{by}", event.text));
    if let Some(detail) = event.detail.as_deref().filter(|_| out.verbose) {
        wrap(detail, "                  ").iter().for_each(|line| out.line(line));
    }
}
