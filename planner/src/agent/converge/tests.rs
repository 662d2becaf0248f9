//! The promises of one node, one by one.

use dinp_common::digest::{Digest, Image};
use dinp_common::fence::Fence;
use dinp_common::instance::Seen;
use dinp_common::name::{AppName, ClusterId};
use dinp_common::release::{ReleaseNo, RunSpec};
use dinp_common::size::MiB;

use super::*;
use crate::agent::LEADERLESS_AFTER;

pub(super) fn id(n: u64) -> InstanceId {
    InstanceId::from_sequence(n)
}

pub(super) fn assignment(n: u64, want: Want) -> Assignment {
    let image = Image { config: Digest::from_sha256([1; 32]), manifest: None, name: "x".into(), bytes: 0 };
    Assignment {
        instance: id(n),
        app: AppName::parse("shop").expect("name"),
        release: ReleaseNo(1),
        index: 0,
        want,
        spec: RunSpec {
            image,
            env: Default::default(),
            memory: MiB(64),
            cpu: None,
            placement: Default::default(),
            port: 8080,
            health: HealthCheck::Tcp,
            command: None,
            stop_grace_seconds: 10,
        },
    }
}

pub(super) fn level(revision: u64, wants: &[(u64, Want)], released: &[u64]) -> Assignments {
    Assignments {
        fence: Fence { cluster: ClusterId::parse("cl").expect("cluster"), epoch: 1, holder: "a".into() },
        revision,
        instances: wants.iter().map(|(n, want)| assignment(*n, *want)).collect(),
        released: released.iter().map(|n| id(*n)).collect(),
        images: ImagesKept::default(),
    }
}

pub(super) fn range() -> Range {
    Range { first: Ipv4Addr::new(10, 9, 0, 1), last: Ipv4Addr::new(10, 9, 0, 40) }
}

pub(super) fn container(n: u64, state: ContainerState) -> Container {
    let address = Some(Ipv4Addr::new(10, 9, 0, n as u8));
    let app = AppName::parse("shop").expect("name");
    Container { id: format!("c{n}"), app, instance: id(n), release: ReleaseNo(1), state, address }
}

/// A machine with a clock.
struct Node {
    machine: Convergence,
    now: Duration,
}

impl Node {
    fn new() -> Self {
        let mut node = Self::starting();
        node.event(Event::Network(range()));
        node.list(vec![]);
        node
    }

    fn starting() -> Self {
        Self { machine: Convergence::new(Addresses::new(range()), None), now: Duration::ZERO }
    }

    fn event(&mut self, event: Event) -> Vec<Effect> {
        self.machine.step(self.now, event)
    }

    fn after(&mut self, seconds: f64) -> Vec<Effect> {
        self.now += Duration::from_secs_f64(seconds);
        self.event(Event::Tick)
    }

    fn list(&mut self, containers: Vec<Container>) -> Vec<Effect> {
        let since = self.machine.mark();
        self.event(Event::Listed { since, containers: Ok(containers) })
    }

    fn acted(&mut self, n: u64, action: Action) -> Vec<Effect> {
        self.event(Event::Acted { instance: id(n), action, outcome: Outcome::Done(()) })
    }

    /// Instance 1, wanted and running.
    fn with_one_running() -> Self {
        let mut node = Self::new();
        node.event(Event::Assigned(level(1, &[(1, Want::Run)], &[])));
        node.event(Event::Created { instance: id(1), outcome: Outcome::Done("c1".into()) });
        node.acted(1, Action::Start);
        node
    }

    fn with_one_exited() -> Self {
        let mut node = Self::with_one_running();
        node.event(Event::Died { instance: id(1), code: Some(1) });
        let exit = Exit { code: 1, oom: false, output: "boom".into() };
        node.event(Event::Examined { instance: id(1), found: Found::Ended(exit) });
        node
    }

    fn seen(&self, n: u64) -> Seen {
        self.machine.observed(self.now).instances[&id(n)].seen.clone()
    }
}

fn act(action: Action) -> Effect {
    Effect::Act { action, instance: id(1), container: "c1".into() }
}

#[test]
fn an_assignment_is_created_started_and_probed_once() {
    let mut node = Node::new();
    let effects = node.event(Event::Assigned(level(1, &[(1, Want::Run)], &[])));
    assert!(matches!(effects[..], [Effect::Create { .. }]), "{effects:?}");
    assert_eq!(node.event(Event::Assigned(level(1, &[(1, Want::Run)], &[]))), [], "a repeated level changes nothing");
    let effects = node.event(Event::Created { instance: id(1), outcome: Outcome::Done("c1".into()) });
    assert_eq!(effects, [act(Action::Start)]);
    assert_eq!(node.seen(1), Seen::Pending { step: "starting its container".into() });
    let effects = node.acted(1, Action::Start);
    assert!(
        matches!(&effects[..], [Effect::Probe { run: 1, target, .. }] if target.to_string() == "10.9.0.1:8080"),
        "{effects:?}"
    );
    assert_eq!(node.after(60.0), [], "and then nothing more");
    node.event(Event::Probed { instance: id(1), run: 1, health: Health::Healthy, listening: vec![] });
    assert_eq!(node.seen(1), Seen::Running { address: "10.9.0.1:8080".parse().expect("address"), health: Health::Healthy });
}

#[test]
fn a_list_from_before_a_creation_does_not_create_twice() {
    let mut node = Node::new();
    let since = node.machine.mark();
    node.event(Event::Assigned(level(1, &[(1, Want::Run)], &[])));
    node.event(Event::Created { instance: id(1), outcome: Outcome::Done("c1".into()) });
    node.acted(1, Action::Start);
    assert_eq!(node.event(Event::Listed { since, containers: Ok(vec![]) }), []);
    assert!(matches!(node.seen(1), Seen::Running { .. }));
}

#[test]
fn with_a_leader_a_crash_is_reported_and_not_restarted() {
    let mut node = Node::with_one_running();
    let effects = node.event(Event::Died { instance: id(1), code: Some(3) });
    assert_eq!(
        effects,
        [Effect::Unprobe { instance: id(1) }, Effect::Examine { instance: id(1), container: "c1".into(), code: Some(3) }]
    );
    let exit = Exit { code: 3, oom: true, output: "boom".into() };
    assert_eq!(node.event(Event::Examined { instance: id(1), found: Found::Ended(exit.clone()) }), []);
    assert_eq!(node.seen(1), Seen::Exited { exit });
    for revision in 2..20 {
        node.now += Duration::from_secs(2);
        assert_eq!(node.event(Event::Assigned(level(revision, &[(1, Want::Run)], &[]))), []);
    }
}

#[test]
fn an_exit_that_is_slow_to_be_read_is_unhealthy_meanwhile() {
    let mut node = Node::with_one_running();
    node.after(60.0);
    node.event(Event::Probed { instance: id(1), run: 1, health: Health::Healthy, listening: vec![] });
    node.event(Event::Died { instance: id(1), code: Some(3) });
    assert!(matches!(node.seen(1), Seen::Running { health: Health::Healthy, .. }));
    let due = node.machine.next_due(node.now).expect("something is due");
    assert_eq!(due - node.now, crate::agent::EXIT_READ_WITHIN);
    node.now = due;
    assert!(matches!(node.seen(1), Seen::Running { health: Health::Unhealthy { .. }, .. }));
    assert_eq!(node.machine.next_due(node.now), None);
}

#[test]
fn without_a_leader_it_restarts_in_place_with_back_off() {
    let mut node = Node::with_one_exited();
    assert_eq!(node.after(LEADERLESS_AFTER.as_secs_f64() - 0.1), []);
    assert_eq!(node.after(0.2), [act(Action::RestartInPlace)]);
    let mut waits = Vec::new();
    for _ in 0..7 {
        node.acted(1, Action::RestartInPlace);
        node.event(Event::Died { instance: id(1), code: Some(1) });
        let exit = Exit { code: 1, oom: false, output: String::new() };
        node.event(Event::Examined { instance: id(1), found: Found::Ended(exit) });
        let ended = node.now;
        let due = node.machine.next_due(node.now).expect("a restart is due");
        node.now = due - Duration::from_millis(1);
        assert_eq!(node.event(Event::Tick), []);
        node.now = due;
        assert_eq!(node.event(Event::Tick), [act(Action::RestartInPlace)]);
        waits.push((due - ended).as_secs());
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
    node.acted(1, Action::RestartInPlace);
    assert_eq!(node.machine.observed(node.now).instances[&id(1)].restarts, 8);
    assert!(matches!(node.seen(1), Seen::Running { address, .. } if address.ip() == Ipv4Addr::new(10, 9, 0, 1)));
}

#[test]
fn a_stop_is_term_then_kill_after_the_grace_then_removal() {
    let mut node = Node::with_one_running();
    assert_eq!(node.event(Event::Assigned(level(2, &[(1, Want::Drain)], &[]))), [], "draining keeps it running");
    let effects = node.event(Event::Assigned(level(3, &[(1, Want::Stop)], &[])));
    assert_eq!(effects, [Effect::Unprobe { instance: id(1) }, act(Action::Terminate)]);
    assert_eq!(node.seen(1), Seen::Stopping);
    assert_eq!(node.acted(1, Action::Terminate), []);
    assert_eq!(node.after(9.9), []);
    assert_eq!(node.after(0.2), [act(Action::Kill)]);
    assert_eq!(node.acted(1, Action::Kill), []);
    assert_eq!(node.event(Event::Died { instance: id(1), code: Some(137) }), [act(Action::Remove)]);
    assert_eq!(node.acted(1, Action::Remove), []);
    assert_eq!(node.seen(1), Seen::Gone);
    let observed = node.machine.observed(node.now);
    assert_eq!(observed.cooling, [id(1)]);
}

#[test]
fn a_wanted_state_never_moves_back() {
    let mut node = Node::with_one_running();
    node.event(Event::Assigned(level(2, &[(1, Want::Stop)], &[])));
    node.event(Event::Assigned(level(3, &[(1, Want::Run)], &[])));
    node.acted(1, Action::Terminate);
    assert_eq!(node.event(Event::Died { instance: id(1), code: None }), [act(Action::Remove)]);
}

/// Regression of 2015: a failed read must not look like an empty one.
#[test]
fn an_unknown_list_stops_removes_and_creates_nothing() {
    let mut node = Node::with_one_running();
    let since = node.machine.mark();
    assert_eq!(node.event(Event::Listed { since, containers: Err("timed out".into()) }), []);
    assert_eq!(node.event(Event::Assigned(level(2, &[(1, Want::Stop), (2, Want::Run)], &[]))), []);
    assert_eq!(node.seen(2), Seen::Pending { step: "waiting for Docker: timed out".into() });
    assert!(matches!(node.seen(1), Seen::Running { .. }), "what was last seen stays");
    let effects = node.list(vec![container(1, ContainerState::Running)]);
    assert!(effects.contains(&act(Action::Terminate)), "{effects:?}");
}

/// Regression of 2015: deleting a record left or killed containers; here the container stays, and is shown.
#[test]
fn an_assignment_that_vanished_touches_nothing() {
    let mut node = Node::with_one_running();
    let before = node.machine.observed(node.now).addresses;
    assert_eq!(node.event(Event::Assigned(level(2, &[], &[1]))), [Effect::Unprobe { instance: id(1) }]);
    assert_eq!(node.after(3600.0), []);
    let observed = node.machine.observed(node.now);
    assert_eq!(observed.orphans.len(), 1);
    assert!(observed.orphans[0].running);
    assert_eq!(observed.addresses, before - 1, "nothing new is placed at the address it holds");
    assert_eq!(observed.cooling, [], "and it keeps its address, whatever was released");
}

#[test]
fn a_restarted_agent_adopts_what_runs_and_waits_for_its_first_probe() {
    let mut node = Node::starting();
    node.event(Event::Network(range()));
    node.event(Event::Assigned(level(1, &[(7, Want::Run)], &[])));
    assert!(!node.machine.observed(node.now).complete);
    let effects = node.list(vec![container(7, ContainerState::Running)]);
    assert!(matches!(effects[..], [Effect::Probe { .. }]), "{effects:?}");
    assert!(!node.machine.observed(node.now).complete, "its health is not known yet");
    node.event(Event::Probed { instance: id(7), run: 1, health: Health::Healthy, listening: vec![] });
    assert!(node.machine.observed(node.now).complete);
    assert!(matches!(node.seen(7), Seen::Running { health: Health::Healthy, .. }));
}

#[test]
fn what_came_from_disk_creates_nothing_before_a_leader_is_heard() {
    let before = level(4, &[(1, Want::Run), (2, Want::Run)], &[]);
    let mut node = Node { machine: Convergence::new(Addresses::new(range()), Some(before)), now: Duration::ZERO };
    node.event(Event::Network(range()));
    let effects = node.list(vec![container(1, ContainerState::Exited)]);
    assert!(matches!(effects[..], [Effect::Examine { .. }]), "{effects:?}");
    let exit = Exit { code: 0, oom: false, output: String::new() };
    node.event(Event::Examined { instance: id(1), found: Found::Ended(exit) });
    assert_eq!(node.after(11.0), [act(Action::RestartInPlace)], "a crashed one comes back, a missing one does not");
}

#[test]
fn a_refused_creation_fails_and_an_unknown_one_is_looked_up() {
    let mut node = Node::new();
    node.event(Event::Assigned(level(1, &[(1, Want::Run)], &[])));
    let effects = node.event(Event::Created { instance: id(1), outcome: Outcome::Failed("timed out".into()) });
    assert_eq!(effects, [Effect::List]);
    assert_eq!(node.list(vec![container(1, ContainerState::Created)]), [], "not before the pause is over");
    assert_eq!(node.after(1.1), [act(Action::Start)], "it had been created after all");

    let mut node = Node::new();
    node.event(Event::Assigned(level(1, &[(1, Want::Run)], &[])));
    node.event(Event::Created { instance: id(1), outcome: Outcome::Missing("no such image".into()) });
    assert_eq!(node.seen(1), Seen::Failed { why: "no such image".into() });
    assert_eq!(node.after(3600.0), []);
}

#[test]
fn a_full_range_says_so_and_goes_on_when_an_address_is_released() {
    let mut node = Node::new();
    let small = Range { first: Ipv4Addr::new(10, 9, 0, 1), last: Ipv4Addr::new(10, 9, 0, 1) };
    node.event(Event::Network(small));
    node.event(Event::Assigned(level(1, &[(1, Want::Run), (2, Want::Run)], &[])));
    let waiting = [node.seen(1), node.seen(2)];
    assert!(
        waiting.iter().any(|seen| matches!(seen, Seen::Pending { step } if step.contains("no address is free"))),
        "{waiting:?}"
    );
    node.event(Event::Created { instance: id(1), outcome: Outcome::Refused("no".into()) });
    node.event(Event::Created { instance: id(2), outcome: Outcome::Refused("no".into()) });
    let cooling = node.machine.observed(node.now).cooling;
    assert_eq!(cooling.len(), 1);
    let mut next = level(2, &[(3, Want::Run)], &[]);
    assert_eq!(node.event(Event::Assigned(next.clone())), [], "it still cools");
    next.revision = 3;
    next.released = cooling;
    let effects = node.event(Event::Assigned(next));
    assert!(matches!(effects[..], [Effect::Create { .. }]), "{effects:?}");
}

#[test]
fn without_a_network_nothing_is_created_and_the_reason_is_told() {
    let mut node = Node::starting();
    node.list(vec![]);
    node.event(Event::NoNetwork("no subnet is free".into()));
    assert_eq!(node.event(Event::Assigned(level(1, &[(1, Want::Run)], &[]))), []);
    assert_eq!(node.seen(1), Seen::Pending { step: "waiting for this node's network: no subnet is free".into() });
    assert!(matches!(node.event(Event::Network(range()))[..], [Effect::Create { .. }]));
}

#[test]
fn a_container_removed_by_hand_is_an_exit() {
    let mut node = Node::with_one_running();
    node.event(Event::Destroyed { instance: id(1), container: "c1".into() });
    assert!(matches!(node.seen(1), Seen::Exited { .. }));
    assert_eq!(node.machine.observed(node.now).cooling, [id(1)]);
    assert_eq!(node.after(100.0), [], "its replacement is the leader's to decide");
}

#[test]
fn a_crash_during_the_start_is_an_exit() {
    let mut node = Node::new();
    node.event(Event::Assigned(level(1, &[(1, Want::Run)], &[])));
    node.event(Event::Created { instance: id(1), outcome: Outcome::Done("c1".into()) });
    assert_eq!(node.event(Event::Died { instance: id(1), code: Some(127) }), []);
    let effects = node.acted(1, Action::Start);
    assert_eq!(effects, [Effect::Examine { instance: id(1), container: "c1".into(), code: Some(127) }]);
}
