//! What holds in every state that can be reached.

use std::time::Instant;

use dinp_common::fence::Fence;
use dinp_common::name::Host;
use dinp_common::plan::Desired;
use dinp_planner::lease::LeaseTimes;
use dinp_planner::observed::Observed;
use dinp_planner::policy::Policy;
use dinp_planner::term::Term;

use crate::explore::{Explored, explore};
use crate::server::Tenure;
use crate::settings::{Decisions, Settings};
use crate::store::cluster;

/// States of one exploration, so that bounds that are too wide end as a message and not as a full memory.
pub const MOST_STATES: usize = 20_000_000;
/// States of an exploration that takes minutes as a whole: the nearest, breadth first. All of them with
/// `DINP_MODEL_STATES=20000000`; then it is also shown that somebody can always lead again.
const NEAREST_STATES: usize = 150_000;

fn holds(name: &str, settings: Settings) {
    let explored = within(name, settings, MOST_STATES);
    assert!(explored.whole, "{name}: more states than memory has room for; the bounds are too wide");
    assert!(explored.goals > 0, "{name}: nobody ever leads");
}

fn within(name: &str, settings: Settings, most: usize) -> Explored {
    let settings = settings.widened(&std::env::var("DINP_MODEL").unwrap_or_default());
    let most = std::env::var("DINP_MODEL_STATES").map_or(most, |most| most.parse().expect("a number of states"));
    let begun = Instant::now();
    let explored = explore(&settings, most).unwrap_or_else(|broken| panic!("{name}: {}", broken.told()));
    let Explored { states, steps, depth, goals, whole } = explored;
    let bound = if whole { "all" } else { "the nearest" };
    println!("{name}: {bound} {states} states, {steps} steps, depth {depth}, {goals} with a leader whom all accept");
    println!("    in {:.1?} within {settings:?}", begun.elapsed());
    explored
}

#[test]
fn two_servers_never_act_at_once() {
    holds("leading", Settings::leading());
}

#[test]
fn a_statement_that_its_sender_has_given_up_does_no_harm() {
    let times = LeaseTimes { ttl_ms: 2, ..Settings::leading().times };
    holds("late statements", Settings { late: 1, ends: 0, times, ..Settings::leading() });
}

#[test]
fn nothing_older_is_done_by_a_node_however_far_the_clocks_drift_apart() {
    holds("a node", Settings::fencing());
}

#[test]
fn nothing_is_written_by_an_older_leader_however_far_the_clocks_drift_apart() {
    holds("the store", Settings::committing());
}

#[test]
fn nothing_older_is_taken_by_a_router_however_far_the_clocks_drift_apart() {
    holds("a router", Settings { nodes: 0, router: true, decisions: Decisions::Asked(0), ..Settings::fencing() });
}

#[test]
fn servers_and_nodes_may_end_at_any_moment() {
    holds("ends", Settings::ending());
}

#[test]
fn fences_hold_when_the_store_loses_its_last_writes() {
    holds("lost writes, and a server that starts again", Settings { servers: 1, ends: 1, ..Settings::forgetful() });
    within("lost writes", Settings::forgetful(), NEAREST_STATES);
}

#[test]
fn a_new_leader_moves_nothing_before_a_node_has_had_its_time() {
    holds("warm-up", Settings::warm_up());
}

/// The model's tenure stands for the server's term: both go on under one fence, and begin anew under any other.
#[test]
fn a_tenure_ends_where_a_term_ends() {
    let fence = |epoch, holder: &str| Fence { cluster: cluster(), epoch, holder: holder.to_owned() };
    let fences = [fence(1, "a"), fence(1, "a"), fence(2, "a"), fence(2, "b"), fence(2, "b"), fence(1, "a")];
    let (mut term, mut tenure) = (None, None);
    let (policy, observed, domain) = (Policy::default(), Observed::default(), Host::parse("localhost").expect("a host"));
    let mut begun = 0;
    for (now_ms, fence) in (0..).zip(&fences) {
        let term = Term::current(&mut term, fence, now_ms);
        let tenure = Tenure::current(&mut tenure, fence, now_ms);
        assert_eq!(term.publisher().fence(), &tenure.fence);
        assert_eq!(term.publisher().at().version == 0, tenure.revision == 0, "{fence:?} at {now_ms}");
        begun += u32::from(tenure.revision == 0);
        let mut desired = Desired::default();
        let decided = term.decide(&desired, &observed, &policy, now_ms);
        assert_eq!(decided.leading_ms, now_ms - tenure.since_ms);
        term.stored(&decided, &mut desired, &observed, &domain, &policy);
        tenure.version(0);
    }
    assert_eq!(begun, 4);
}
