//! The deploy under way: hold it back, let it go on, cancel it.

use dinp_client::{Client, PageQuery};
use dinp_common::api::PauseRequest;
use dinp_common::deploy::DeployNo;

use super::failure::{Exit, Failure};
use super::follow;
use super::progress::Progress;
use super::session::{Chosen, Session};
use super::words;
use crate::args::{Change, Named, Pause};

pub async fn cancel(session: &Session, named: Named) -> Result<(), Failure> {
    let chosen = session.named(&named)?;
    let client = session.client()?;
    let number = newest(&client, &chosen).await?;
    let view = client.deploy_cancel(&chosen.app, number).await?;
    session.out.one(&view, chosen.app.as_str(), |out| out.line(words::held(&view)))
}

pub async fn pause(session: &Session, args: Pause) -> Result<(), Failure> {
    let chosen = session.named(&args.named)?;
    let client = session.client()?;
    let number = newest(&client, &chosen).await?;
    let view = client.deploy_pause(&chosen.app, number, &PauseRequest { reason: args.reason }).await?;
    session.out.one(&view, chosen.app.as_str(), |out| {
        out.line(words::held(&view));
        out.say(words::resume_or_cancel(&view));
    })
}

/// Lets it go on and sees it through.
pub async fn resume(session: &Session, args: Change) -> Result<(), Failure> {
    let chosen = session.named(&args.named)?;
    let client = session.client()?;
    let number = newest(&client, &chosen).await?;
    let progress = Progress::new(session.out.quiet);
    session.on_interrupt(words::goes_on(number, &chosen.app));
    let view = client.deploy_resume(&chosen.app, number).await?;
    follow::conclude(session, &client, &chosen, view, &args.wait, progress).await
}

/// Only the newest deploy of an app can be under way.
async fn newest(client: &Client, chosen: &Chosen) -> Result<DeployNo, Failure> {
    let page = client.deploys(&chosen.app, &PageQuery { limit: Some(1), ..PageQuery::default() }).await?;
    let last = page.items.first().map(|deploy| deploy.number);
    last.ok_or_else(|| Failure::new(Exit::Conflict, words::no_deploy(&chosen.app)))
}
