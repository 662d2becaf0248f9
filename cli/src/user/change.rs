//! The small verbs that change an app: each ends in a deploy, which is watched.

use std::io::Write;

use dinp_client::{Client, ClientError};
use dinp_common::api::{DeployView, RollbackRequest, ScaleRequest};
use dinp_common::name::AppName;

use super::failure::Failure;
use super::follow;
use super::plan;
use super::progress::Progress;
use super::session::{Chosen, Session};
use super::words;
use crate::args::{Change, Delete, Rollback, Scale, Wait};

pub async fn scale(session: &Session, args: Scale) -> Result<(), Failure> {
    let chosen = session.app()?;
    let request = ScaleRequest { instances: args.instances, memory: args.memory, strategy: args.strategy };
    if args.dry_run {
        let plan = session.client()?.scale_plan(&chosen.app, &request).await?;
        return plan::print(session, &plan);
    }
    change(session, &chosen, &args.wait, async |client, app| client.scale(app, &request).await).await
}

pub async fn rollback(session: &Session, args: Rollback) -> Result<(), Failure> {
    let chosen = session.app()?;
    let request = RollbackRequest { to: args.to };
    change(session, &chosen, &args.wait, async |client, app| client.rollback(app, &request).await).await
}

pub async fn restart(session: &Session, args: Change) -> Result<(), Failure> {
    let chosen = session.named(&args.named)?;
    change(session, &chosen, &args.wait, async |client, app| client.restart(app).await).await
}

pub async fn stop(session: &Session, args: Change) -> Result<(), Failure> {
    let chosen = session.named(&args.named)?;
    change(session, &chosen, &args.wait, async |client, app| client.stop(app).await).await
}

pub async fn start(session: &Session, args: Change) -> Result<(), Failure> {
    let chosen = session.named(&args.named)?;
    change(session, &chosen, &args.wait, async |client, app| client.start(app).await).await
}

pub async fn delete(session: &Session, args: Delete) -> Result<(), Failure> {
    let chosen = session.named(&args.named)?;
    consent(session, &chosen.app, args.confirm.as_deref()).await?;
    change(session, &chosen, &args.wait, async |client, app| client.app_delete(app).await).await
}

/// Asks for a change, and sees it through.
pub async fn change(
    session: &Session,
    chosen: &Chosen,
    wait: &Wait,
    ask: impl AsyncFnOnce(&Client, &AppName) -> Result<DeployView, ClientError>,
) -> Result<(), Failure> {
    let client = session.client()?;
    let progress = Progress::new(session.out.quiet);
    session.on_interrupt(words::MAYBE_BEGUN);
    let view = ask(&client, &chosen.app).await?;
    follow::conclude(session, &client, chosen, view, wait, progress).await
}

/// Deleting takes the app's name once more, or a plain yes given beforehand.
async fn consent(session: &Session, app: &AppName, confirm: Option<&str>) -> Result<(), Failure> {
    let typed = match confirm {
        Some(typed) => typed.to_owned(),
        None if session.globals.yes => return Ok(()),
        None if session.can_ask() => ask_name(app).await?,
        None => return Err(Failure::usage(words::delete_needs_consent(app)).fix(format!("--confirm {app}"))),
    };
    if typed.trim() == app.as_str() { Ok(()) } else { Err(Failure::usage(words::not_the_name(typed.trim(), app))) }
}

/// Reads on a thread of its own, so that Ctrl-C still ends the command.
async fn ask_name(app: &AppName) -> Result<String, Failure> {
    let question = words::ask_delete(app);
    let reading = tokio::task::spawn_blocking(move || {
        anstream::eprint!("{question}");
        std::io::stderr().flush()?;
        let mut typed = String::new();
        std::io::stdin().read_line(&mut typed).map(|_| typed)
    });
    let read = reading.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    read.map_err(|error| Failure::usage(words::delete_needs_consent(app)).why(error.to_string()))
}
