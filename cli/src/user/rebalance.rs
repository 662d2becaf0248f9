//! The balance of the nodes: what would move, what moves, and the end of it.

use std::time::Duration;

use dinp_client::Client;
use dinp_common::api::{RebalanceState, RebalanceView};
use dinp_common::rehearsal::RebalanceMove;
use tokio::time::Instant;

use super::failure::{Exit, Failure};
use super::output::{Output, text};
use super::plan;
use super::progress::Progress;
use super::session::Session;
use super::words;
use crate::args::Wait;

/// How often a rebalance is looked at.
const TICK: Duration = Duration::from_millis(500);
/// How long one is waited for where nobody says: it is gentle, and a large cluster takes its time.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Prints what would move; that nothing would is no failure.
pub async fn plan(session: &Session) -> Result<(), Failure> {
    let plan = session.client()?.rebalance_plan().await?;
    session.out.one(&plan, "rebalance", |out| {
        out.say(words::REBALANCE_DRY_RUN);
        plan::nodes(out, &plan.nodes);
        moves(out, &plan.moves);
        out.line(words::would_rebalance(&plan));
    })
}

fn moves(out: &Output, moves: &[RebalanceMove]) {
    if moves.is_empty() {
        return;
    }
    let row = |moved: &RebalanceMove| {
        let RebalanceMove { instance, app, from, to, why } = moved;
        vec![text(instance), text(app), text(from), text(to), text(why)]
    };
    out.line("");
    out.table(&["INSTANCE", "APP", "FROM", "TO", "WHY"], moves.iter().map(row).collect());
}

pub async fn cancel(session: &Session) -> Result<(), Failure> {
    let view = session.client()?.rebalance_cancel().await?;
    print(session, &view)
}

/// Begins one, or joins the one that goes on, and sees it through.
pub async fn begin(session: &Session, wait: &Wait) -> Result<(), Failure> {
    let client = session.client()?;
    let progress = Progress::new(session.out.quiet);
    session.on_interrupt(words::REBALANCE_GOES_ON);
    let mut view = client.rebalance_create().await?;
    if !view.begun {
        session.out.say(words::rebalance_goes_on_already(&view));
    }
    if !wait.no_wait {
        view = until_ended(&client, &progress, view, wait.timeout.unwrap_or(PATIENCE)).await?;
    }
    progress.clear();
    print(session, &view)
}

async fn until_ended(
    client: &Client,
    progress: &Progress,
    mut view: RebalanceView,
    patience: Duration,
) -> Result<RebalanceView, Failure> {
    let give_up = Instant::now() + patience;
    let mut said = String::new();
    loop {
        match view.state {
            RebalanceState::Ended => return Ok(view),
            RebalanceState::Cancelled | RebalanceState::None => {
                return Err(Failure::new(Exit::Conflict, words::REBALANCE_CANCELLED).why(&view.step));
            }
            RebalanceState::Running => {}
        }
        progress.doing("rebalance", &view.step, said != view.step);
        said.clone_from(&view.step);
        if Instant::now() >= give_up {
            let failure = Failure::new(Exit::StillGoingOn, words::rebalance_not_done(patience.as_secs()));
            return Err(failure.why(&view.step).now(words::REBALANCE_GOES_ON));
        }
        tokio::time::sleep(TICK).await;
        match client.rebalance().await {
            Ok(next) => view = next,
            // It does not depend on the server that shows it, which is asked again until patience ends.
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn print(session: &Session, view: &RebalanceView) -> Result<(), Failure> {
    session.out.one(view, "rebalance", |out| out.line(format!("{}  {}", words::rebalance_ends(view.state), view.step)))
}
