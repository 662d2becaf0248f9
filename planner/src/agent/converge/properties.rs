//! What holds for every order of events, against a model of Docker that does as it is told or fails.

use proptest::prelude::*;

use dinp_common::instance::Seen;

use super::tests::{assignment, container, id, level, range};
use super::*;
use crate::agent::LEADERLESS_AFTER;

#[derive(Debug, Clone)]
enum Step {
    /// The leader moves this instance's wanted state forward, or assigns it.
    Forward(u64),
    /// The leader forgets this instance.
    Vanish(u64),
    List {
        fails: bool,
    },
    /// The oldest unanswered effect is answered.
    Answer {
        fails: bool,
    },
    Crash(u64),
    /// Somebody removes a container.
    Remove(u64),
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let n = 1u64..5;
    let step = prop_oneof![
        3 => n.clone().prop_map(Step::Forward),
        1 => n.clone().prop_map(Step::Vanish),
        3 => prop::bool::weighted(0.2).prop_map(|fails| Step::List { fails }),
        6 => prop::bool::weighted(0.2).prop_map(|fails| Step::Answer { fails }),
        1 => n.clone().prop_map(Step::Crash),
        1 => n.prop_map(Step::Remove),
        2 => (0u16..20_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

/// Docker, the leader, and everything the machine has asked for.
struct World {
    machine: Convergence,
    now: Duration,
    heard: Duration,
    docker: BTreeMap<u64, ContainerState>,
    wants: BTreeMap<u64, Want>,
    revision: u64,
    unanswered: Vec<Effect>,
    list_known: bool,
    ranks: BTreeMap<InstanceId, (u8, u32)>,
}

fn number(instance: &InstanceId) -> u64 {
    (1..5).find(|n| id(*n) == *instance).expect("one of ours")
}

fn subject(effect: &Effect) -> Option<&InstanceId> {
    match effect {
        Effect::Create { assignment, .. } => Some(&assignment.instance),
        Effect::Act { instance, .. } | Effect::Examine { instance, .. } => Some(instance),
        Effect::Probe { .. } | Effect::Unprobe { .. } | Effect::List => None,
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            machine: Convergence::new(Addresses::new(range()), None),
            now: Duration::ZERO,
            heard: Duration::ZERO,
            docker: BTreeMap::new(),
            wants: BTreeMap::new(),
            revision: 0,
            unanswered: Vec::new(),
            list_known: false,
            ranks: BTreeMap::new(),
        };
        world.event(Event::Network(range()));
        world
    }

    fn event(&mut self, event: Event) {
        let effects = self.machine.step(self.now, event);
        self.judge(&effects);
        self.unanswered.extend(effects.into_iter().filter(|effect| subject(effect).is_some()));
        assert_eq!(self.machine.step(self.now, Event::Tick), [], "the same moment again asks for nothing new");
        self.forward_only();
    }

    fn judge(&self, effects: &[Effect]) {
        let mut subjects = BTreeSet::new();
        for effect in effects {
            let Some(instance) = subject(effect) else { continue };
            assert!(subjects.insert(instance), "two operations on {instance} at once: {effects:?}");
            assert!(
                !self.unanswered.iter().any(|other| subject(other) == Some(instance)),
                "{effect:?} while another is under way"
            );
            assert!(self.list_known, "{effect:?} although the list is unknown");
            let want = self.wants.get(&number(instance)).copied();
            let fits = match effect {
                Effect::Create { .. } | Effect::Act { action: Action::Start, .. } => want == Some(Want::Run),
                Effect::Act { action: Action::RestartInPlace, .. } => {
                    want == Some(Want::Run) && self.now >= self.heard + LEADERLESS_AFTER
                }
                Effect::Act { action: Action::Terminate | Action::Kill | Action::Remove, .. } => want == Some(Want::Stop),
                Effect::Examine { .. } => true,
                Effect::Probe { .. } | Effect::Unprobe { .. } | Effect::List => true,
            };
            assert!(fits, "{effect:?} while {want:?} is wanted");
        }
    }

    fn forward_only(&mut self) {
        let observed = self.machine.observed(self.now);
        self.ranks.retain(|instance, _| observed.instances.contains_key(instance));
        for (instance, report) in observed.instances {
            let rank = match report.seen {
                Seen::Pending { .. } => 0,
                Seen::Running { .. } => 1,
                Seen::Exited { .. } | Seen::Failed { .. } => 2,
                Seen::Stopping => 3,
                Seen::Gone => 4,
            };
            let before = self.ranks.insert(instance.clone(), (rank, report.restarts));
            let moved_back = before.is_some_and(|(old, restarts)| rank < old && restarts == report.restarts);
            assert!(!moved_back, "{instance} went from {before:?} back to {rank}");
        }
    }

    fn assign(&mut self) {
        self.revision += 1;
        self.heard = self.now;
        let mut next = level(self.revision, &[], &[]);
        next.instances = self.wants.iter().map(|(n, want)| assignment(*n, *want)).collect();
        self.event(Event::Assigned(next));
    }

    fn list(&mut self, fails: bool) {
        let since = self.machine.mark();
        self.list_known = !fails;
        let all = self.docker.iter().map(|(n, state)| container(*n, *state)).collect();
        let containers = if fails { Err("no answer".to_owned()) } else { Ok(all) };
        self.event(Event::Listed { since, containers });
    }

    fn answer(&mut self, fails: bool) {
        if self.unanswered.is_empty() {
            return;
        }
        match self.unanswered.remove(0) {
            Effect::Create { assignment, .. } => {
                let n = number(&assignment.instance);
                let outcome = if fails {
                    // An unanswered creation may have happened all the same.
                    if n % 2 == 1 {
                        self.docker.entry(n).or_insert(ContainerState::Created);
                    }
                    Outcome::Failed("no answer".into())
                } else {
                    let before = self.docker.insert(n, ContainerState::Created);
                    assert_eq!(before, None, "instance {n} was created twice");
                    Outcome::Done(format!("c{n}"))
                };
                self.event(Event::Created { instance: id(n), outcome });
            }
            Effect::Act { action, instance, .. } => self.answer_act(action, instance, fails),
            Effect::Examine { instance, .. } => {
                let found = match self.docker.get(&number(&instance)) {
                    _ if fails => Found::Failed("no answer".into()),
                    None => Found::Missing,
                    Some(ContainerState::Exited) => Found::Ended(Exit { code: 1, oom: false, output: String::new() }),
                    Some(_) => Found::Running,
                };
                self.event(Event::Examined { instance, found });
            }
            Effect::Probe { .. } | Effect::Unprobe { .. } | Effect::List => {}
        }
    }

    fn answer_act(&mut self, action: Action, instance: InstanceId, fails: bool) {
        let n = number(&instance);
        let outcome = match (fails, self.docker.get(&n), action) {
            (true, _, _) => Outcome::Failed("no answer".into()),
            (_, None, _) => Outcome::Missing("no such container".into()),
            (_, Some(_), Action::Start | Action::RestartInPlace) => {
                self.docker.insert(n, ContainerState::Running);
                Outcome::Done(())
            }
            (_, Some(ContainerState::Running), Action::Terminate) => Outcome::Done(()),
            (_, Some(ContainerState::Running), Action::Kill) => {
                self.docker.insert(n, ContainerState::Exited);
                Outcome::Done(())
            }
            (_, Some(ContainerState::Running), Action::Remove) => Outcome::Conflict("it runs".into()),
            (_, Some(_), Action::Remove) => {
                self.docker.remove(&n);
                Outcome::Done(())
            }
            (_, Some(_), Action::Terminate | Action::Kill) => Outcome::Conflict("it does not run".into()),
        };
        self.event(Event::Acted { instance, action, outcome });
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Forward(n) => {
                let next = match self.wants.get(&n) {
                    None => Want::Run,
                    Some(Want::Run) => Want::Drain,
                    Some(Want::Drain | Want::Stop) => Want::Stop,
                };
                // An instance that was ever stopped is never assigned again.
                self.wants.insert(n, next);
                self.assign();
            }
            Step::Vanish(n) => {
                if self.wants.get(&n) == Some(&Want::Stop) && !self.docker.contains_key(&n) {
                    return;
                }
                self.wants.remove(&n);
                self.assign();
                self.wants.entry(n).or_insert(Want::Stop);
            }
            Step::List { fails } => self.list(fails),
            Step::Answer { fails } => self.answer(fails),
            Step::Crash(n) => {
                if let Some(state) = self.docker.get_mut(&n).filter(|state| **state == ContainerState::Running) {
                    *state = ContainerState::Exited;
                    self.event(Event::Died { instance: id(n), code: Some(1) });
                }
            }
            Step::Remove(n) => {
                if self.docker.remove(&n).is_some() {
                    self.event(Event::Destroyed { instance: id(n), container: format!("c{n}") });
                }
            }
            Step::Wait(ms) => {
                self.now += Duration::from_millis(ms.into());
                self.event(Event::Tick);
            }
        }
    }

    /// Everything works from now on: stopped instances must go, and nothing may be left half done.
    fn settle(&mut self) {
        for want in self.wants.values_mut() {
            *want = Want::Stop;
        }
        self.assign();
        for _ in 0..60 {
            self.list(false);
            while !self.unanswered.is_empty() {
                self.answer(false);
            }
            self.now += Duration::from_secs(1);
            self.event(Event::Tick);
        }
        assert!(self.docker.is_empty(), "left over: {:?}", self.docker);
        for (instance, report) in self.machine.observed(self.now).instances {
            assert_eq!(report.seen, Seen::Gone, "{instance}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn every_order_of_events_keeps_the_promises_and_ends_clean(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.settle();
    }
}
