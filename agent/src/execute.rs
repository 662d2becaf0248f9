//! Carries out what convergence asks for. Each effect is a task of its own, and its outcome an event.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dinp_common::instance::InstanceId;
use dinp_common::wire::Assignment;
use dinp_daemon::{Nudge, failpoint};
use dinp_planner::agent::addresses::Addresses;
use dinp_planner::agent::{Action, Effect, Event, Outcome};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::core::Input;
use crate::engine::{Engine, Host, outcome};
use crate::exit::examine;
use crate::probe;
use crate::saver::Saver;
use crate::tasks::Tasks;

/// How long a start waits for the address table to be on disk.
const TABLE_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub struct Executor {
    pub engine: Arc<Engine>,
    pub inputs: mpsc::Sender<Input>,
    pub relist: Nudge,
    pub table: Saver<Addresses>,
    pub tasks: Tasks,
    probes: HashMap<InstanceId, AbortHandle>,
}

impl Executor {
    pub fn new(engine: Arc<Engine>, inputs: mpsc::Sender<Input>, relist: Nudge, table: Saver<Addresses>, tasks: Tasks) -> Self {
        Self { engine, inputs, relist, table, tasks, probes: HashMap::new() }
    }

    /// Begins an effect. `revision` is that of the address table it was decided with, `host` where it happens.
    pub fn begin(&mut self, effect: Effect, revision: u64, host: Option<&Arc<Host>>) {
        match effect {
            Effect::Create { assignment, address } => self.create(*assignment, address, host),
            Effect::Act { action, instance, container } => self.act(action, instance, container, revision),
            Effect::Examine { instance, container, code } => {
                let engine = self.engine.clone();
                self.answer(async move {
                    let found = examine(&engine, &container, code).await;
                    Event::Examined { instance, found }
                });
            }
            Effect::Probe { instance, container, run, target, check } => {
                let target = probe::Target { instance: instance.clone(), container, run, address: target, check };
                let task = self.tasks.spawn(probe::run(self.engine.clone(), target, self.inputs.clone()));
                if let Some(before) = self.probes.insert(instance, task) {
                    before.abort();
                }
            }
            Effect::Unprobe { instance } => {
                if let Some(probe) = self.probes.remove(&instance) {
                    probe.abort();
                }
            }
            Effect::List => self.relist.nudge(),
        }
    }

    fn answer(&self, event: impl Future<Output = Event> + Send + 'static) {
        let inputs = self.inputs.clone();
        self.tasks.spawn(async move {
            // The core has ended only if the agent is stopping.
            let _ = inputs.send(Input::Event(event.await)).await;
        });
    }

    fn create(&self, wanted: Assignment, address: std::net::Ipv4Addr, host: Option<&Arc<Host>>) {
        let (engine, host) = (self.engine.clone(), host.cloned());
        self.answer(async move {
            let instance = wanted.instance.clone();
            let created = match &host {
                Some(host) => outcome(engine.create(host, &wanted, address).await),
                None => Outcome::Failed("this node's network is not ready".to_owned()),
            };
            let created = match created {
                // At creation, what can be missing is the image.
                Outcome::Missing(_) => Outcome::Missing(missing_image(&wanted)),
                other => other,
            };
            if matches!(created, Outcome::Done(_)) {
                failpoint::here("agent.created");
            }
            Event::Created { instance, outcome: created }
        });
    }

    fn act(&self, action: Action, instance: InstanceId, container: String, revision: u64) {
        let (engine, table) = (self.engine.clone(), self.table.clone());
        self.answer(async move {
            let done = match action {
                Action::Start | Action::RestartInPlace => start(&engine, &table, &container, revision).await,
                Action::Terminate => outcome(engine.signal(&container, "SIGTERM").await),
                Action::Kill => outcome(engine.signal(&container, "SIGKILL").await),
                Action::Remove => outcome(engine.remove(&container).await),
            };
            if done == Outcome::Done(()) {
                reached(action);
            }
            Event::Acted { instance, action, outcome: done }
        });
    }
}

fn reached(action: Action) {
    match action {
        Action::Start | Action::RestartInPlace => failpoint::here("agent.started"),
        Action::Terminate | Action::Kill => failpoint::here("agent.stopped"),
        Action::Remove => failpoint::here("agent.removed"),
    }
}

/// An address is alive from the start on, so the table that gave it must be on disk by then. It is written while
/// Docker creates the container.
async fn start(engine: &Engine, table: &Saver<Addresses>, container: &str, revision: u64) -> Outcome<()> {
    if let Err(why) = table.saved(revision, TABLE_WITHIN).await {
        return Outcome::Failed(format!("the address cannot be recorded: {why}"));
    }
    match outcome(engine.start(container).await) {
        Outcome::Refused(why) => Outcome::Refused(format!("its container cannot be started: {why}")),
        other => other,
    }
}

fn missing_image(wanted: &Assignment) -> String {
    let image = &wanted.spec.image;
    format!("its image {} ({}) is not on this node", image.name, image.config.short())
}
