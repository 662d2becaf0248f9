//! Carrying out what convergence asks for, as `agent/src/execute.rs` does, on an engine that may fail.

use dinp_common::exit::Exit;
use dinp_common::instance::InstanceId;
use dinp_planner::agent::{Action, Effect, Found, Outcome};

use super::observe::READ_DEADLINE;
use crate::sim::docker::{Answer, Call};
use crate::sim::event::{CallFate, DockerEvent, Event, NodeEvent};
use crate::sim::kernel::Ms;
use crate::sim::planted::Planted;
use crate::sim::world::World;

/// How long a change may take.
pub const CHANGE_DEADLINE: Ms = 60_000;
/// How long a start waits for the address table to be on disk.
const TABLE_WITHIN: Ms = 5_000;

/// A call on Docker that is not answered yet.
pub(super) struct Operation {
    instance: InstanceId,
    /// `None` is a creation.
    action: Option<Action>,
}

/// A start that waits for the address table.
pub(super) struct Waiting {
    revision: u64,
    instance: InstanceId,
    action: Action,
    container: String,
}

impl World {
    pub(super) fn execute(&mut self, n: usize, effect: Effect, revision: u64) {
        if !matches!(effect, Effect::Probe { .. } | Effect::Unprobe { .. } | Effect::List) {
            crate::say!(self.k, self.nodes[n], "does {effect:?}");
        }
        match effect {
            Effect::Create { assignment, address } => {
                let instance = assignment.instance.clone();
                self.watch_wants(n, &instance);
                self.call_docker(n, instance, None, Call::Create { assignment, address });
            }
            Effect::Act { action: action @ (Action::Start | Action::RestartInPlace), instance, container } => {
                if action == Action::RestartInPlace {
                    if self.k.is_planted(Planted::CrashesLieAround) {
                        return;
                    }
                    self.watch_restart(n, &instance);
                }
                self.watch_wants(n, &instance);
                self.start_when_saved(n, Waiting { revision, instance, action, container });
            }
            Effect::Act { action, instance, container } => self.act(n, action, instance, container),
            Effect::Examine { instance, container, code } => self.examine(n, instance, &container, code),
            Effect::Probe { instance, run, target, .. } => self.probe_begins(n, instance, run, target),
            Effect::Unprobe { instance } => self.probe_ends(n, &instance),
            Effect::List => self.relist(n),
        }
    }

    fn act(&mut self, n: usize, action: Action, instance: InstanceId, container: String) {
        let call = match action {
            Action::Terminate if self.k.is_planted(Planted::KillWithoutTerm) => Call::Kill(container),
            Action::Terminate => Call::Terminate(container),
            Action::Kill => Call::Kill(container),
            Action::Remove => Call::Remove(container),
            Action::Start | Action::RestartInPlace => Call::Start(container),
        };
        self.call_docker(n, instance, Some(action), call);
    }

    fn start_when_saved(&mut self, n: usize, waiting: Waiting) {
        if self.nodes[n].table.saved >= waiting.revision {
            return self.act(n, waiting.action, waiting.instance, waiting.container);
        }
        let start = self.k.fresh();
        self.nodes[n].waiting.insert(start, waiting);
        let life = self.nodes[n].life;
        self.k.after(TABLE_WITHIN, Event::Node(n, life, NodeEvent::StartLate(start)));
    }

    pub(super) fn starts_may_go(&mut self, n: usize) {
        let saved = self.nodes[n].table.saved;
        let ready: Vec<u64> =
            self.nodes[n].waiting.iter().filter(|(_, waiting)| waiting.revision <= saved).map(|(start, _)| *start).collect();
        for start in ready {
            if let Some(waiting) = self.nodes[n].waiting.remove(&start) {
                self.act(n, waiting.action, waiting.instance, waiting.container);
            }
        }
    }

    pub(super) fn start_late(&mut self, n: usize, start: u64) {
        if let Some(Waiting { instance, action, .. }) = self.nodes[n].waiting.remove(&start) {
            let outcome = Outcome::Failed("the address cannot be recorded".to_owned());
            self.input(n, dinp_planner::agent::Event::Acted { instance, action, outcome });
        }
    }

    fn call_docker(&mut self, n: usize, instance: InstanceId, action: Option<Action>, call: Call) {
        self.watch_call(&instance, &call);
        let operation = self.k.fresh();
        self.nodes[n].operations.insert(operation, Operation { instance, action });
        let (life, permille) = (self.nodes[n].life, self.k.setting.faults.docker_permille + self.docker[n].flaky_permille);
        let fate = if self.k.fault(permille) {
            [CallFate::Fails, CallFate::FailsAfter, CallFate::Silent, CallFate::Swallowed][self.k.rng.usize(..4)]
        } else {
            CallFate::Well
        };
        let delay = match (&call, fate) {
            (_, CallFate::Silent) => self.k.between(1_000, 90_000),
            (Call::Create { .. } | Call::Start(_), _) => self.k.between(40, 400),
            (Call::Terminate(_) | Call::Kill(_) | Call::Remove(_), _) => self.k.between(2, 150),
        };
        let event = DockerEvent::Perform { operation, agent: life, call, fate };
        let engine = self.engines[n];
        self.k.after(delay, Event::Docker(n, engine, event));
        if std::mem::take(&mut self.nodes[n].doomed) {
            let soon = self.k.between(0, delay);
            self.k.after(soon, Event::Node(n, life, NodeEvent::Dies));
        }
        self.k.after(CHANGE_DEADLINE, Event::Node(n, life, NodeEvent::OperationLate(operation)));
    }

    pub(super) fn operation_answered(&mut self, n: usize, operation: u64, answer: Answer) {
        let Some(Operation { instance, action }) = self.nodes[n].operations.remove(&operation) else { return };
        self.operation_ends(n, instance, action, answer);
    }

    pub(super) fn operation_late(&mut self, n: usize, operation: u64) {
        let Some(Operation { instance, action }) = self.nodes[n].operations.remove(&operation) else { return };
        self.operation_ends(n, instance, action, Answer::Failed("Docker has not answered within 60 s"));
    }

    fn operation_ends(&mut self, n: usize, instance: InstanceId, action: Option<Action>, answer: Answer) {
        let event = match action {
            None => dinp_planner::agent::Event::Created { instance, outcome: outcome(answer, |id| id) },
            Some(action) => dinp_planner::agent::Event::Acted { instance, action, outcome: outcome(answer, |_| ()) },
        };
        self.input(n, event);
    }

    fn examine(&mut self, n: usize, instance: InstanceId, container: &str, code: Option<i64>) {
        let (mut delay, life) = (self.k.between(1, 100), self.nodes[n].life);
        let permille = self.k.setting.faults.docker_permille;
        let found = if self.counts_as_gone(n, container, code) {
            Found::Missing
        } else if !self.docker[n].answers() || self.k.fault(permille) {
            delay = if self.docker[n].hung { READ_DEADLINE } else { delay };
            match code {
                Some(code) => Found::Ended(Exit { code, oom: false, output: String::new() }),
                None => Found::Failed("Docker does not answer".to_owned()),
            }
        } else {
            match self.docker[n].named(container) {
                None => Found::Missing,
                Some(found) if found.runs() => Found::Running,
                Some(found) => Found::Ended(Exit { code: found.code, oom: false, output: String::new() }),
            }
        };
        self.k.after(delay, Event::Node(n, life, NodeEvent::Examined { instance, found }));
    }
}

fn outcome<T>(answer: Answer, done: impl FnOnce(String) -> T) -> Outcome<T> {
    match answer {
        Answer::Done(id) => Outcome::Done(done(id)),
        Answer::Missing(why) => Outcome::Missing(why.to_owned()),
        Answer::Conflict(why) => Outcome::Conflict(why.to_owned()),
        Answer::Refused(why) => Outcome::Refused(why.to_owned()),
        Answer::Failed(why) => Outcome::Failed(why.to_owned()),
    }
}
