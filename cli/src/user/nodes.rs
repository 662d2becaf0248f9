//! Nodes: the list, and what they are used for.

use std::time::Duration;

use dinp_client::Client;
use dinp_common::api::{DrainState, DrainView, NodeView};
use dinp_common::name::NodeName;
use dinp_common::size::human_bytes;
use tokio::time::Instant;

use super::failure::{Exit, Failure};
use super::output::{maybe, state, text};
use super::progress::Progress;
use super::session::Session;
use super::words;
use crate::args::{Nodes, NodesCommand, Wait};

/// How often a drain is looked at.
const TICK: Duration = Duration::from_millis(500);
/// How long a drain is waited for where nobody says: a large app moves a part at a time.
const PATIENCE: Duration = Duration::from_secs(1_800);

pub async fn run(session: &Session, args: Nodes) -> Result<(), Failure> {
    match args.command {
        None | Some(NodesCommand::List) => list(session).await,
        Some(NodesCommand::Cordon { node }) => {
            let view = session.client()?.node_cordon(&node).await?;
            used(session, &view)
        }
        Some(NodesCommand::Uncordon { node }) => {
            let view = session.client()?.node_uncordon(&node).await?;
            used(session, &view)
        }
        Some(NodesCommand::Drain { node, wait }) => drain(session, &node, &wait).await,
    }
}

fn used(session: &Session, view: &NodeView) -> Result<(), Failure> {
    session.out.one(view, view.name.as_str(), |out| out.line(words::node_used(view)))
}

/// Begins the drain and sees it through.
async fn drain(session: &Session, node: &NodeName, wait: &Wait) -> Result<(), Failure> {
    let client = session.client()?;
    let progress = Progress::new(session.out.quiet);
    session.on_interrupt(words::drain_goes_on(node));
    let mut view = client.drain_create(node).await?;
    if !wait.no_wait {
        view = until_drained(&client, &progress, view, wait.timeout.unwrap_or(PATIENCE)).await?;
    }
    progress.clear();
    session.out.one(&view, node.as_str(), |out| out.line(format!("{node}  {}", view.step)))
}

async fn until_drained(
    client: &Client,
    progress: &Progress,
    mut view: DrainView,
    patience: Duration,
) -> Result<DrainView, Failure> {
    let give_up = Instant::now() + patience;
    let mut said = String::new();
    loop {
        match view.state {
            DrainState::Drained => return Ok(view),
            DrainState::None => return Err(Failure::new(Exit::Conflict, words::drain_cancelled(&view.node))),
            DrainState::Draining => {}
        }
        progress.doing("drain", &view.step, said != view.step);
        said.clone_from(&view.step);
        if Instant::now() >= give_up {
            let failure = Failure::new(Exit::StillGoingOn, words::drain_not_done(&view.node, patience.as_secs()));
            return Err(failure.why(&view.step).now(words::drain_goes_on(&view.node)));
        }
        tokio::time::sleep(TICK).await;
        match client.drain(&view.node).await {
            Ok(next) => view = next,
            // The drain does not depend on the server that shows it; it is asked again until patience ends.
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let nodes = session.client()?.nodes().await?.items;
    session.out.list(
        &nodes,
        |node| node.name.to_string(),
        |nodes| {
            let mut headings = vec!["NODE", "STATUS", "INSTANCES", "MEMORY", "DISK FREE", "DOCKER"];
            if session.out.verbose {
                headings.extend(["ZONE", "VERSION"]);
            }
            headings.push("WHY");
            session.out.table(&headings, nodes.iter().map(|node| row(node, session.out.verbose)).collect());
            for node in nodes {
                for orphan in &node.orphans {
                    session.out.line(words::orphan(&node.name, &orphan.container, orphan.running));
                }
            }
        },
    )
}

fn row(node: &NodeView, verbose: bool) -> Vec<comfy_table::Cell> {
    let memory = match &node.capacity {
        Some(capacity) => format!("{} of {}", node.memory_reserved, capacity.memory),
        None => node.memory_reserved.to_string(),
    };
    let mut row = vec![
        text(&node.name),
        state(node.status.as_str()),
        text(node.instances),
        text(memory),
        text(human_bytes(node.disk_free)),
        maybe(node.docker.as_ref()),
    ];
    if verbose {
        row.extend([text(&node.zone), maybe(node.version.as_ref())]);
    }
    row.push(text(&node.reason));
    row
}
