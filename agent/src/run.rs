//! Puts the agent together.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context;
use dinp_common::name::{ClusterId, NodeName};
use dinp_common::wire::ImagesKept;
use dinp_daemon::admin::{self, Readiness};
use dinp_daemon::{Nudge, beat};
use dinp_planner::agent::{Event, Gate, Observed};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::core::{Core, INPUTS, Input, Loaded, Published};
use crate::engine::{Engine, Host};
use crate::execute::Executor;
use crate::network::{self, Owner};
use crate::observe::Observer;
use crate::saver::Saver;
use crate::state::{ADDRESSES, StateDir};
use crate::tasks::Tasks;
use crate::{facts, images, link};

/// The pause after the network could not be made.
const NETWORK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Runs the agent until `shutdown`. Containers then stay as they are. What keeps it from its work goes into `readiness`.
///
/// # Errors
/// If the configuration is not valid, the state folder cannot be used, or a task of the agent ends.
pub async fn run(config: Config, readiness: Readiness, shutdown: CancellationToken) -> anyhow::Result<()> {
    config.check()?;
    let servers = config.server_uris()?;
    let state = StateDir::open(&config.state_dir)?;
    let node = config.keep_node_name(&state)?;
    let loaded = Loaded::read(&state)?;

    let engine = Arc::new(Engine::new(config.docker.clone()));
    let (inputs, taken) = mpsc::channel(INPUTS);
    let relist = Nudge::default();
    let mark = Arc::new(AtomicU64::new(0));
    let (observed, seen) = watch::channel(Arc::new(Observed::default()));
    let (gate, joined) = watch::channel(None);
    let (images, kept) = watch::channel(ImagesKept::default());
    let (facts, known) = watch::channel(facts::at_start(&config.zone, &config.labels));

    let short = Tasks::default();
    let table = Saver::spawn(&short, state.clone(), ADDRESSES, loaded.table_revision());
    let executor = Executor::new(engine.clone(), inputs.clone(), relist.clone(), table, short.clone());
    let published = Published { observed, gate, images, mark: mark.clone() };
    let core = Core::new(state.clone(), loaded, executor, published);

    let mut tasks = JoinSet::new();
    tasks.spawn(core.run(taken));
    tasks.spawn(facts::keep(engine.clone(), facts));
    let shared = link::Shared {
        node: node.clone(),
        boot: format!("{:016x}", rand::random::<u64>()),
        token_file: config.token_file.clone(),
        engine: engine.clone(),
        inputs: inputs.clone(),
        observed: seen,
        gate: joined.clone(),
        facts: known.clone(),
    };
    for server in servers {
        tasks.spawn(link::run(server, shared.clone()));
    }
    tasks.spawn(ready(readiness.clone(), known, joined.clone()));
    if let Some(address) = config.admin {
        let listener = TcpListener::bind(address).await.with_context(|| format!("the admin address {address}"))?;
        tasks.spawn(admin::serve(listener, readiness, shutdown.clone()));
    }
    tasks.spawn(with_docker(WithDocker { config, node, state, engine, inputs, relist, mark, joined, kept }));

    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        Some(ended) = tasks.join_next() => match ended {
            _ if shutdown.is_cancelled() => Ok(()),
            Ok(()) => Err(anyhow::anyhow!("a task of the agent ended")),
            Err(error) => Err(error).context("a task of the agent failed"),
        },
    };
    tasks.shutdown().await;
    short.end().await;
    ended
}

struct WithDocker {
    config: Config,
    node: NodeName,
    state: StateDir,
    engine: Arc<Engine>,
    inputs: mpsc::Sender<Input>,
    relist: Nudge,
    mark: Arc<AtomicU64>,
    joined: watch::Receiver<Option<Gate>>,
    kept: watch::Receiver<ImagesKept>,
}

/// What can only begin once the cluster is known, since its name is on everything of ours in Docker.
async fn with_docker(parts: WithDocker) {
    let WithDocker { config, node, state, engine, inputs, relist, mark, mut joined, kept } = parts;
    let cluster: ClusterId = match joined.wait_for(Option::is_some).await.map(|gate| gate.clone()) {
        Ok(Some(gate)) => gate.cluster().clone(),
        Ok(None) | Err(_) => return,
    };
    let owner = Owner { cluster: cluster.clone(), node, bridge: config.bridge, host_ports: config.host_ports };
    let observer = Observer { engine: engine.clone(), owner: owner.clone(), inputs: inputs.clone(), relist, mark };
    tokio::join!(
        network::keep_host_closed(&owner),
        keep_network(&engine, &state, &owner, &inputs),
        observer.clone().list(),
        observer.follow(),
        images::run(engine.clone(), cluster, kept),
    );
}

/// Makes the network, and makes it again if it goes.
async fn keep_network(engine: &Engine, state: &StateDir, owner: &Owner, inputs: &mpsc::Sender<Input>) {
    let mut ready = None;
    let mut said = None;
    loop {
        let pause = match network::ensure(engine, state, owner).await {
            Ok(network) if ready == Some(network) => network::LOOK_EVERY,
            Ok(network) => {
                let (cluster, node, bridge) = (owner.cluster.clone(), owner.node.clone(), owner.bridge.clone());
                let host = Arc::new(Host { cluster, node, bridge, gateway: network.gateway });
                if inputs.send(Input::Network { range: network.range, host }).await.is_err() {
                    return;
                }
                ready = Some(network);
                network::LOOK_EVERY
            }
            Err(error) => {
                // Said once, not at every try.
                let why = format!("{error:#}");
                if said.as_ref() != Some(&why) {
                    tracing::warn!("the instances' network is not ready: {why}");
                    said = Some(why.clone());
                }
                if ready.is_none() && inputs.send(Input::Event(Event::NoNetwork(why))).await.is_err() {
                    return;
                }
                NETWORK_AGAIN_AFTER
            }
        };
        tokio::time::sleep_until(beat::within(pause)).await;
    }
}

/// Ready is: Docker answers, and a server has welcomed this node.
async fn ready(
    readiness: Readiness,
    mut facts: watch::Receiver<dinp_common::node::NodeFacts>,
    mut joined: watch::Receiver<Option<Gate>>,
) {
    loop {
        match &facts.borrow_and_update().docker {
            Ok(_) => readiness.ready("docker"),
            Err(why) => readiness.not_ready("docker", why.clone()),
        }
        match *joined.borrow_and_update() {
            Some(_) => readiness.ready("cluster"),
            None => readiness.not_ready("cluster", "no server has welcomed this node yet"),
        }
        let changed = tokio::select! {
            changed = facts.changed() => changed,
            changed = joined.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
