//! Wrong machines, each with one changed decision, and each caught.

use dinp_planner::lease::LeaseTimes;

use crate::explore::{Broken, explore};
use crate::promises::MOST_STATES;
use crate::settings::{Planted, Settings};

/// What breaks, in words that name the promise.
fn breaks(settings: &Settings, word: &str) {
    let Broken { why, trace, states } = match explore(settings, MOST_STATES) {
        Err(broken) => broken,
        Ok(explored) => panic!("nothing is found in {explored:?}"),
    };
    println!("{:?}: {why}; {} steps, found among {states} states", settings.planted, trace.len());
    assert!(why.contains(word), "{why}\n{trace:#?}");
}

#[test]
fn caught_a_ttl_that_is_not_waited() {
    breaks(&Settings::leading().with(Planted::TtlNotWaited), "two servers act at once");
}

#[test]
fn caught_a_margin_of_nothing() {
    let leading = Settings::leading();
    let times = LeaseTimes { margin_ms: 0, ..leading.times };
    breaks(&Settings { times, ..leading }, "two servers act at once");
}

#[test]
fn caught_a_lease_taken_without_compare() {
    breaks(&Settings::leading().with(Planted::TakenWithoutCompare), "two servers act at once");
}

#[test]
fn caught_a_renewal_counted_from_its_answer() {
    breaks(&Settings::leading().with(Planted::RenewedFromTheAnswer), "two servers act at once");
}

#[test]
fn caught_a_lease_released_while_its_holder_acts() {
    breaks(&Settings::leading().with(Planted::ReleasedWhileActing), "two servers act at once");
}

#[test]
fn caught_an_epoch_that_is_not_raised() {
    breaks(&Settings::leading().with(Planted::EpochNotRaised), "is given to");
}

#[test]
fn caught_a_node_without_a_gate() {
    breaks(&Settings::fencing().with(Planted::NodeWithoutGate), "older than epoch");
}

#[test]
fn caught_a_gate_that_a_restart_forgets() {
    breaks(&Settings::ending().with(Planted::GateForgotten), "older than epoch");
}

#[test]
fn caught_an_equal_epoch_that_is_accepted() {
    breaks(&Settings::forgetful().with(Planted::EqualEpochAccepted), "belongs to another holder");
}

#[test]
fn caught_a_store_that_writes_without_a_fence() {
    breaks(&Settings::committing().with(Planted::StoreWithoutFence), "the store writes for");
}

#[test]
fn caught_a_term_begun_twice_under_one_fence() {
    breaks(&Settings::fencing().with(Planted::TermForgotten), "says two things");
}

#[test]
fn caught_a_refused_leader_that_takes_the_lease_from_another() {
    breaks(&Settings::fencing().with(Planted::OutdoneTakesFromAnyone), "whose counter it has not watched");
}

#[test]
fn caught_a_refusal_that_is_ignored() {
    let alone = Settings { servers: 1, ends: 1, ..Settings::forgetful() };
    breaks(&alone.with(Planted::RefusalIgnored), "nobody can ever lead");
}

#[test]
fn caught_a_warm_up_that_is_skipped() {
    breaks(&Settings::warm_up().with(Planted::WarmUpSkipped), "to report");
}
