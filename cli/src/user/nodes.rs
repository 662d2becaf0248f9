//! Nodes: the list, and what they are used for.

use std::time::Duration;

use dinp_client::Client;
use dinp_common::api::{DrainState, DrainView, InstanceView, NodeDetail, NodeView};
use dinp_common::name::NodeName;
use dinp_common::rehearsal::DrainPlan;
use dinp_common::size::human_bytes;
use tokio::time::Instant;

use super::failure::{Exit, Failure};
use super::output::{Output, maybe, state, state_word, text, wrap};
use super::plan;
use super::progress::Progress;
use super::rebalance;
use super::session::Session;
use super::words;
use crate::args::{Nodes, NodesCommand, Wait};

/// How often a drain is looked at.
const TICK: Duration = Duration::from_millis(500);
/// How long a drain is waited for where nobody says: a large app moves a part at a time.
const PATIENCE: Duration = Duration::from_secs(1_800);
/// How long nothing may move for want of another node where nobody says how long to wait: a node that was busy or
/// silent for a moment is no reason to give up, nor is a new leader that has not heard every node yet.
const STUCK_PATIENCE: Duration = Duration::from_secs(15);

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
        Some(NodesCommand::Show { node }) => show(session, &node).await,
        Some(NodesCommand::Drain { node, dry_run: true, .. }) => {
            let plan = session.client()?.drain_plan(&node).await?;
            planned(session, &plan)
        }
        Some(NodesCommand::Drain { node, wait, .. }) => drain(session, &node, &wait).await,
        Some(NodesCommand::Rebalance { dry_run: true, .. }) => rebalance::plan(session).await,
        Some(NodesCommand::Rebalance { cancel: true, .. }) => rebalance::cancel(session).await,
        Some(NodesCommand::Rebalance { wait, .. }) => rebalance::begin(session, &wait).await,
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
        view = until_drained(&client, &progress, view, wait.timeout).await?;
    }
    progress.clear();
    session.out.one(&view, node.as_str(), |out| out.line(format!("{node}  {}", view.step)))
}

async fn until_drained(
    client: &Client,
    progress: &Progress,
    mut view: DrainView,
    timeout: Option<Duration>,
) -> Result<DrainView, Failure> {
    let patience = timeout.unwrap_or(PATIENCE);
    let give_up = Instant::now() + patience;
    let mut said = String::new();
    let mut stuck_since = None;
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
        match &view.stuck {
            Some(why) if timeout.is_none() => {
                let since = *stuck_since.get_or_insert_with(Instant::now);
                if since.elapsed() >= STUCK_PATIENCE {
                    return Err(stuck(&view.node, why));
                }
            }
            Some(_) | None => stuck_since = None,
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

/// The drain stays asked for, and goes on when a node can take what is left.
fn stuck(node: &NodeName, why: &str) -> Failure {
    Failure::new(Exit::NoRoom, words::drain_stuck(node))
        .why(why)
        .now(words::drain_goes_on(node))
        .fix(words::drain_wait_for_room())
}

/// What a drain would do; one that would leave something there is a failure.
fn planned(session: &Session, plan: &DrainPlan) -> Result<(), Failure> {
    session.out.one(plan, plan.node.as_str(), |out| {
        out.say(words::drain_dry_run(&plan.node));
        plan::nodes(out, &plan.nodes);
        plan::steps(out, plan.steps.iter().map(|step| (Some(&step.app), &step.step)));
        if plan.left.is_empty() {
            out.line(words::would_be_drained(&plan.node));
        }
        for left in &plan.left {
            out.line(words::would_stay(left));
        }
    })?;
    let Some(first) = plan.left.first() else { return Ok(()) };
    let what = words::drain_would_not_end(&plan.node, plan.left.len());
    Err(Failure::new(Exit::NoRoom, what).why(&first.why).fix(words::DRAIN_NEEDS_ROOM))
}

async fn show(session: &Session, node: &NodeName) -> Result<(), Failure> {
    let detail = session.client()?.node(node).await?;
    session.out.one(&detail, node.as_str(), |out| print(out, &detail))
}

fn print(out: &Output, detail: &NodeDetail) {
    let node = &detail.node;
    out.line(format!("{}  {}", node.name, state_word(node.status.as_str())));
    wrap(&node.reason, "  ").into_iter().for_each(|line| out.line(line));
    let mut facts = vec![("instances", node.instances.to_string()), ("memory", memory(node))];
    if let Some(capacity) = &node.capacity {
        facts.push(("processors", capacity.cpus.to_string()));
        facts.push(("addresses", format!("{} usable", capacity.addresses)));
    }
    facts.push(("disk", format!("{} free of {}", human_bytes(node.disk_free), human_bytes(node.disk_total))));
    facts.extend(node.docker.as_ref().map(|docker| ("docker", docker.clone())));
    facts.extend(node.version.as_ref().map(|version| ("version", version.clone())));
    facts.extend((!node.zone.is_empty()).then(|| ("zone", node.zone.clone())));
    if !node.labels.is_empty() {
        facts.push(("labels", node.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")));
    }
    for (name, value) in facts {
        out.line(format!("  {name:<10} {value}"));
    }
    if !detail.instances_here.is_empty() {
        out.line("");
        let row = |instance: &InstanceView| {
            let InstanceView { id, app, release, status, reason, .. } = instance;
            vec![text(id), text(app), text(release), state(status.as_str()), text(reason)]
        };
        out.table(&["INSTANCE", "APP", "RELEASE", "STATUS", "WHY"], detail.instances_here.iter().map(row).collect());
    }
    orphans(out, node);
}

fn orphans(out: &Output, node: &NodeView) {
    for orphan in &node.orphans {
        out.line(words::orphan(&node.name, &orphan.container, orphan.running));
    }
}

fn memory(node: &NodeView) -> String {
    match &node.capacity {
        Some(capacity) => format!("{} of {}", node.memory_reserved, capacity.memory),
        None => node.memory_reserved.to_string(),
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
            nodes.iter().for_each(|node| orphans(&session.out, node));
        },
    )
}

fn row(node: &NodeView, verbose: bool) -> Vec<comfy_table::Cell> {
    let mut row = vec![
        text(&node.name),
        state(node.status.as_str()),
        text(node.instances),
        text(memory(node)),
        text(human_bytes(node.disk_free)),
        maybe(node.docker.as_ref()),
    ];
    if verbose {
        row.extend([text(&node.zone), maybe(node.version.as_ref())]);
    }
    row.push(text(&node.reason));
    row
}
