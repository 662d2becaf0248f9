//! The core: the one owner of what this node knows and decides.
//!
//! It takes inputs one at a time, lets the planner's machine decide, and publishes what is seen. It waits for
//! nothing but its inputs, time, and the fence's way to disk when a new leader appears.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dinp_common::fence::{Fence, FenceRefusal};
use dinp_common::instance::InstanceId;
use dinp_common::name::ClusterId;
use dinp_common::wire::{AssignmentVersion, Assignments, ImagesKept};
use dinp_daemon::beat;
use dinp_planner::agent::addresses::{Addresses, Range};
use dinp_planner::agent::gate::Admitted;
use dinp_planner::agent::{Convergence, Event, Gate, Observed};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::engine::Host;
use crate::execute::Executor;
use crate::saver::Saver;
use crate::state::{ADDRESSES, ASSIGNMENTS, GATE, StateDir};

/// Inputs that may wait: a few per instance of a full node. Senders then wait too.
pub const INPUTS: usize = 4096;
/// Inputs taken in before what is seen is published once.
const BATCH: usize = 256;
/// The longest sleep of the machine, and the shortest, so that something due that cannot be done does not spin.
const TICK_MAX: Duration = Duration::from_secs(5);
const TICK_MIN: Duration = Duration::from_millis(20);

/// Something for the core to take in.
#[derive(Debug)]
pub enum Input {
    Event(Event),
    /// A server of this cluster welcomes the agent; the answer says why it is the wrong one.
    Welcome {
        cluster: ClusterId,
        answer: oneshot::Sender<Result<(), String>>,
    },
    /// A leader assigns; the answer refuses one that is not the newest.
    Assign {
        assignments: Assignments,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// The network is ready.
    Network {
        range: Range,
        host: Arc<Host>,
    },
    /// Which container an instance has.
    Find {
        instance: InstanceId,
        answer: oneshot::Sender<Option<String>>,
    },
}

#[derive(Debug)]
pub enum Refusal {
    Fence {
        refusal: FenceRefusal,
        highest: Fence,
    },
    /// The fence could not be recorded, so nothing was done in its name.
    Disk(String),
}

/// What others may read of the core, always the newest.
#[derive(Debug)]
pub struct Published {
    pub observed: watch::Sender<Arc<Observed>>,
    pub gate: watch::Sender<Option<Gate>>,
    pub images: watch::Sender<ImagesKept>,
    /// What a list that begins now can tell.
    pub mark: Arc<AtomicU64>,
}

pub struct Core {
    state: StateDir,
    machine: Convergence,
    gate: Option<Gate>,
    executor: Executor,
    kept: Saver<Assignments>,
    kept_at: Option<AssignmentVersion>,
    kept_version: u64,
    table_revision: u64,
    host: Option<Arc<Host>>,
    published: Published,
    started: Instant,
}

/// Everything that is on disk.
#[derive(Debug)]
pub struct Loaded {
    pub gate: Option<Gate>,
    addresses: Addresses,
    assignments: Option<Assignments>,
}

impl Loaded {
    /// # Errors
    /// If the gate or the address table is damaged: without them an old leader or a used address could pass.
    pub fn read(state: &StateDir) -> anyhow::Result<Self> {
        let assignments = state.read(ASSIGNMENTS).unwrap_or_else(|error| {
            tracing::warn!("the last assignments are lost, and come again from the leader: {error:#}");
            None
        });
        Ok(Self { gate: state.read(GATE)?, addresses: state.read(ADDRESSES)?.unwrap_or_else(Addresses::nowhere), assignments })
    }

    pub fn table_revision(&self) -> u64 {
        self.addresses.revision()
    }
}

impl Core {
    pub fn new(state: StateDir, loaded: Loaded, executor: Executor, published: Published) -> Self {
        let table_revision = loaded.table_revision();
        let kept_at = loaded.assignments.as_ref().map(Assignments::at);
        published.gate.send_replace(loaded.gate.clone());
        Self {
            kept: Saver::spawn(&executor.tasks, state.clone(), ASSIGNMENTS, 0),
            state,
            machine: Convergence::new(loaded.addresses, loaded.assignments),
            gate: loaded.gate,
            executor,
            kept_at,
            kept_version: 0,
            table_revision,
            host: None,
            published,
            started: Instant::now(),
        }
    }

    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        loop {
            let now = self.started.elapsed();
            let wait = self.machine.next_due(now).map_or(TICK_MAX, |due| due.saturating_sub(now));
            let wait = wait.clamp(TICK_MIN, TICK_MAX);
            match tokio::time::timeout_at(beat::within(wait), inputs.recv()).await {
                Err(_) => self.event(Event::Tick),
                Ok(None) => return,
                Ok(Some(input)) => self.take_in(input).await,
            }
            for _ in 1..BATCH {
                let Ok(input) = inputs.try_recv() else { break };
                self.take_in(input).await;
            }
            self.publish();
        }
    }

    async fn take_in(&mut self, input: Input) {
        // An answer that nobody waits for any more is no loss.
        match input {
            Input::Event(event) => self.event(event),
            Input::Welcome { cluster, answer } => drop(answer.send(self.welcome(cluster).await)),
            Input::Assign { assignments, answer } => drop(answer.send(self.assign(assignments).await)),
            Input::Network { range, host } => {
                self.host = Some(host);
                self.event(Event::Network(range));
            }
            Input::Find { instance, answer } => drop(answer.send(self.machine.container(&instance))),
        }
    }

    fn event(&mut self, event: Event) {
        let effects = self.machine.step(self.started.elapsed(), event);
        self.published.mark.store(self.machine.mark(), Ordering::Release);
        let revision = self.machine.addresses().revision();
        if self.table_revision != revision {
            self.table_revision = revision;
            self.executor.table.save(revision, self.machine.addresses().clone());
        }
        for effect in effects {
            tracing::debug!(?effect, "doing");
            self.executor.begin(effect, revision, self.host.as_ref());
        }
    }

    /// The first cluster that welcomes this agent is its cluster for good.
    async fn welcome(&mut self, cluster: ClusterId) -> Result<(), String> {
        match &self.gate {
            Some(gate) if *gate.cluster() == cluster => Ok(()),
            Some(gate) => Err(format!("this node belongs to cluster {}, and the server to {cluster}", gate.cluster())),
            None => self.record(Gate::joined(cluster)).await,
        }
    }

    async fn assign(&mut self, assignments: Assignments) -> Result<(), Refusal> {
        let Some(mut gate) = self.gate.clone() else {
            return Err(Refusal::Disk("this node has not joined a cluster yet".to_owned()));
        };
        match gate.admit(&assignments.fence) {
            Ok(Admitted::Known) => {}
            Ok(Admitted::Raised) => self.record(gate).await.map_err(Refusal::Disk)?,
            Err(refusal) => return Err(Refusal::Fence { refusal, highest: gate.highest().clone() }),
        }
        if self.kept_at < Some(assignments.at()) {
            self.kept_at = Some(assignments.at());
            self.kept_version += 1;
            self.kept.save(self.kept_version, assignments.clone());
        }
        self.event(Event::Assigned(assignments));
        Ok(())
    }

    /// Puts a gate on disk and then in force.
    async fn record(&mut self, gate: Gate) -> Result<(), String> {
        let (state, written) = (self.state.clone(), gate.clone());
        let written = tokio::task::spawn_blocking(move || state.write(GATE, &written)).await;
        written.map_err(anyhow::Error::from).flatten().map_err(|error| format!("{error:#}"))?;
        self.published.gate.send_replace(Some(gate.clone()));
        self.gate = Some(gate);
        Ok(())
    }

    fn publish(&self) {
        let observed = self.machine.observed(self.started.elapsed());
        self.published.observed.send_if_modified(|before| {
            let changed = **before != observed;
            if changed {
                *before = Arc::new(observed);
            }
            changed
        });
        let kept = self.machine.images().cloned().unwrap_or_default();
        self.published.images.send_if_modified(|before| {
            let changed = *before != kept;
            *before = kept;
            changed
        });
    }
}
