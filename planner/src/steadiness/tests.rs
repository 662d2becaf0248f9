use std::collections::BTreeMap;

use super::*;
use crate::fixture::facts;
use crate::reported::Reported;

fn seen(steadiness: &Steadiness, silent_ms: u64) -> NodeSeen {
    let returns = steadiness.returns(silent_ms);
    let (instances, steps) = (Reported::default(), BTreeMap::new());
    NodeSeen { silent_ms, returns, facts: facts(), instances, steps, cooling: Vec::new(), orphans: Vec::new() }
}

/// Heard every second for so long.
fn steady(steadiness: &mut Steadiness, seconds: u64) {
    (0..seconds).for_each(|_| steadiness.heard(1_000));
}

#[test]
fn each_return_of_late_costs_a_longer_wait_up_to_a_bound() {
    let policy = Policy::default();
    let mut steadiness = Steadiness::default();
    let mut waits = Vec::new();
    for _ in 0..10 {
        steady(&mut steadiness, 5);
        steadiness.heard(policy.suspect_after_ms);
        waits.push(unsteady(&seen(&steadiness, 0), &policy).map_or(0, |unsteady| unsteady.left_ms));
    }
    assert_eq!(waits[0], 0, "who comes back once is welcome");
    assert!(waits.windows(2).all(|pair| pair[0] < pair[1] || pair[1] == policy.flap_most_ms), "{waits:?}");
    assert_eq!(waits.last(), Some(&policy.flap_most_ms));
    // Being heard is what ends it, and it does end.
    steady(&mut steadiness, policy.flap_most_ms / 1000 - 1);
    assert!(unsteady(&seen(&steadiness, 0), &policy).is_some());
    steady(&mut steadiness, 1);
    assert_eq!(unsteady(&seen(&steadiness, 0), &policy), None);
}

#[test]
fn what_is_long_ago_or_was_only_a_late_report_counts_for_nothing() {
    let policy = Policy::default();
    let mut steadiness = Steadiness::default();
    steadiness.heard(60_000);
    steady(&mut steadiness, policy.flap_window_ms / 1000);
    steadiness.heard(60_000);
    assert_eq!(unsteady(&seen(&steadiness, 0), &policy), None, "the first of late");
    (0..100).for_each(|_| steadiness.heard(policy.suspect_after_ms - 500));
    assert_eq!(unsteady(&seen(&steadiness, 0), &policy), None);
    assert!(steadiness.returns(0).len() <= SILENCES_KEPT);
}

#[test]
fn who_was_lost_and_came_back_once_counts_as_lost_for_a_while() {
    let policy = Policy::default();
    let mut steadiness = Steadiness::default();
    let is_back = |steadiness: &Steadiness| is_just_back(&seen(steadiness, 0), &policy);
    steadiness.heard(policy.lost_after_ms - 1);
    assert!(!is_back(&steadiness), "it was never lost");
    steadiness.heard(policy.lost_after_ms);
    assert!(is_back(&steadiness));
    steady(&mut steadiness, policy.mass_settle_ms / 1000);
    assert!(!is_back(&steadiness), "it has stayed");
    steadiness.heard(policy.lost_after_ms);
    assert!(!is_back(&steadiness), "one that comes and goes holds nobody up");
}

#[test]
fn it_says_how_often_it_came_back_and_when_it_is_trusted_again() {
    let policy = Policy::default();
    let mut steadiness = Steadiness::default();
    for _ in 0..3 {
        steady(&mut steadiness, 5);
        steadiness.heard(4_000);
    }
    steady(&mut steadiness, 4);
    let words = unsteady(&seen(&steadiness, 0), &policy).map(|unsteady| unsteady.words());
    assert_eq!(words.as_deref(), Some("it came back 4 s ago for the third time in 5 min; it takes new instances in 26 s"));
}
