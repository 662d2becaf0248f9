//! The whole table: what is decided, how fresh the news is, what was seen.

use std::net::SocketAddr;

use dinp_common::exit::Exit;
use dinp_common::health::Health;
use dinp_common::instance::{Instance, InstanceId, Seen, Want};
use dinp_common::name::{AppName, NodeName};
use dinp_common::release::ReleaseNo;
use dinp_common::wire::InstanceReport;

use super::{Bucket, bucket};
use crate::observed::Freshness;

fn instance(want: Want, proven: bool) -> Instance {
    Instance {
        id: InstanceId::from_sequence(1),
        app: AppName::parse("shop").expect("app"),
        release: ReleaseNo(1),
        generation: 0,
        node: NodeName::parse("node-1").expect("node"),
        index: 0,
        want,
        proven,
        spent_ms: 0,
        address: None,
        reason: String::new(),
    }
}

fn is(want: Want, proven: bool, freshness: Freshness, seen: Option<Seen>) -> Bucket {
    let instance = instance(want, proven);
    let (app, release) = (instance.app.clone(), instance.release);
    let report = seen.map(|seen| InstanceReport { app, release, seen, listening: Vec::new(), restarts: 0 });
    bucket(&instance, freshness, report.as_ref())
}

fn running(health: Health) -> Option<Seen> {
    let address: SocketAddr = "10.0.0.1:8080".parse().expect("address");
    Some(Seen::Running { address, health })
}

fn exited() -> Option<Seen> {
    Some(Seen::Exited { exit: Exit { code: 1, oom: false, output: String::new() } })
}

fn refused(last: &str) -> Health {
    Health::Unproven { last: Some(last.to_owned()) }
}

use Freshness::{Fresh, Lost, NotYetSeen, Suspect};

#[test]
fn what_has_never_been_healthy_is_starting_until_it_is_or_ends() {
    assert_eq!(is(Want::Run, false, Fresh, None), Bucket::Starting { healthy: false });
    assert_eq!(is(Want::Run, false, Fresh, Some(Seen::Pending { step: String::new() })), Bucket::Starting { healthy: false });
    assert_eq!(is(Want::Run, false, Fresh, running(refused("refused"))), Bucket::Starting { healthy: false });
    assert_eq!(is(Want::Run, false, Fresh, running(Health::Healthy)), Bucket::Starting { healthy: true });
    assert!(matches!(is(Want::Run, false, Fresh, exited()), Bucket::Dead { .. }));
    assert!(matches!(is(Want::Run, false, Fresh, Some(Seen::Failed { why: String::new() })), Bucket::Refused { .. }));
}

#[test]
fn what_is_to_run_and_was_removed_has_ended() {
    for proven in [false, true] {
        let removed = is(Want::Run, proven, Fresh, Some(Seen::Gone));
        assert!(matches!(removed, Bucket::Refused { .. }), "{removed:?}: its agent makes it no second time");
    }
}

#[test]
fn unknown_is_neither_healthy_nor_gone() {
    for freshness in [Suspect, NotYetSeen] {
        assert_eq!(is(Want::Run, true, freshness, None), Bucket::Unknown);
        assert_eq!(is(Want::Run, true, freshness, running(Health::Unhealthy { last: "503".into() })), Bucket::Unknown);
    }
    assert_eq!(is(Want::Run, true, Fresh, None), Bucket::Unknown, "an agent that does not mention it");
    assert_eq!(is(Want::Run, true, Fresh, running(Health::Unproven { last: None })), Bucket::Unknown, "not probed yet");
    assert_eq!(is(Want::Run, true, Lost, running(Health::Healthy)), Bucket::Lost);
}

#[test]
fn what_runs_where_it_was_not_proven_proves_itself_there_first() {
    let proven_at = |address: &str| Instance { address: address.parse().ok(), ..instance(Want::Run, true) };
    let report = |seen| InstanceReport {
        app: AppName::parse("shop").expect("app"),
        release: ReleaseNo(1),
        seen,
        listening: Vec::new(),
        restarts: 0,
    };
    let at_one = report(running(Health::Healthy).expect("it runs"));
    for freshness in [Fresh, Suspect, NotYetSeen] {
        let moved = bucket(&proven_at("10.0.0.2:8080"), freshness, Some(&at_one));
        assert_eq!(moved, Bucket::Starting { healthy: true }, "another instance may have the old address by now");
    }
    assert_eq!(bucket(&proven_at("10.0.0.1:8080"), Fresh, Some(&at_one)), Bucket::Ready);
}

#[test]
fn what_was_healthy_once_and_fails_the_probes_of_a_new_agent_is_ill() {
    assert_eq!(is(Want::Run, true, Fresh, running(refused("refused"))), Bucket::Sick { why: "refused".into() });
    assert_eq!(is(Want::Run, true, Fresh, running(Health::Healthy)), Bucket::Ready);
}

#[test]
fn what_is_withdrawn_drains_until_it_ends_and_stops_until_it_is_gone() {
    for freshness in [Fresh, Suspect, NotYetSeen, Lost] {
        assert_eq!(is(Want::Drain, true, freshness, None), Bucket::Draining);
        assert_eq!(is(Want::Stop, true, freshness, None), Bucket::Stopping { gone: false }, "unknown is not gone");
    }
    assert!(matches!(is(Want::Drain, true, Fresh, exited()), Bucket::Dead { .. }));
    assert_eq!(is(Want::Stop, true, Fresh, exited()), Bucket::Stopping { gone: false });
    assert_eq!(is(Want::Stop, true, Fresh, Some(Seen::Gone)), Bucket::Stopping { gone: true });
}
