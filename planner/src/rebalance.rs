//! Moves instances from crowded nodes to emptier ones, few at a time, until no move improves the balance any more.
//!
//! Which ones move is recorded, so every pass and every leader goes on with the same ones. A move begins with a successor
//! on the node it is for. From then on the instance counts as leaving, as on a drained node: it is withdrawn when its
//! successor takes traffic, and not before. A successor that does not serve ends its move, and the instance stays.

mod ending;
mod fate;
mod loads;
mod search;

use dinp_common::event::Severity;
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::plan::{Change, Note};
use dinp_common::rebalance::{Moving, Rebalance};

use crate::plan::{About, Pass};
use crate::rollout::place;
use fate::Fate;
use search::Found;

/// Who asks for one that begins by itself.
const ITSELF: &str = "dinp";

/// What became of the moves that are recorded: those that go on make their instances leave in this pass.
pub(crate) fn follow(pass: &mut Pass<'_>) {
    let Some(recorded) = pass.input.desired.rebalancing() else { return };
    let mut state = Rebalance { moves: Vec::new(), ..recorded.clone() };
    for moving in &recorded.moves {
        match fate::of(pass, moving) {
            Fate::Over => {}
            Fate::GoesOn => {
                pass.moving.insert(&moving.instance, &moving.to);
                state.moves.push(moving.clone());
            }
            Fate::GivenUp { news } => {
                if let Some(why) = news {
                    given_up(pass, moving, &why);
                }
                state.moves.push(Moving { given_up: true, ..moving.clone() });
            }
        }
    }
    pass.rebalance = Some(state);
}

fn given_up(pass: &mut Pass<'_>, moving: &Moving, why: &str) {
    let Moving { instance, app, to, .. } = moving;
    let Some(stays) = pass.input.desired.instances.iter().find(|known| known.id == *instance) else { return };
    let text = format!("{instance} of {app} stays on {} and does not move to {to}: {why}", stays.node);
    pass.plan.note(Severity::Warning, "instance_not_moved", About::instance(stays), text);
}

/// After everything else is decided: counts what has moved, begins the next move, and ends when none is left.
pub(crate) fn advance(pass: &mut Pass<'_>) {
    let Some(mut state) = pass.rebalance.take().or_else(|| by_itself(pass)) else { return };
    let before = pass.input.desired.rebalancing();
    count_moved(pass, &mut state);
    if let Some(found) = next(pass, &state) {
        begin(pass, &mut state, found);
    }
    let news = before.is_none_or(|before| (before.moved, &before.moves) != (state.moved, &state.moves));
    state.still_ms = if news { 0 } else { state.still_ms + pass.input.elapsed_ms };
    state.ended = ending::of(pass, &state);
    if let Some(why) = &state.ended {
        note(pass, "rebalance_ended", ended(state.moved, why));
        // What is on its way still is given up: it serves where it is.
        state.moves.iter_mut().for_each(|moving| moving.given_up = true);
    }
    if before != Some(&state) {
        pass.plan.change(Change::Rebalance(state));
    }
}

/// An instance that was withdrawn while another one serves has moved; one that has ended has not.
fn count_moved(pass: &Pass<'_>, state: &mut Rebalance) {
    for change in &pass.plan.changes {
        let Change::Move { instance, want, .. } = change else { continue };
        let before = state.moves.len();
        state.moves.retain(|moving| moving.given_up || moving.instance != *instance);
        state.moved += u32::from(state.moves.len() < before && *want == Want::Drain);
    }
}

/// The next move, if another one may begin now.
fn next<'a>(pass: &mut Pass<'a>, state: &Rebalance) -> Option<Found<'a>> {
    let policy = pass.input.policy;
    let may_begin = !pass.braked
        && state.under_way().count() < policy.rebalance_at_once as usize
        && state.failures() < policy.rebalance_failures;
    if may_begin { search::best(pass, state, |_| true) } else { None }
}

fn begin(pass: &mut Pass<'_>, state: &mut Rebalance, found: Found<'_>) {
    let Found { instance, ask, from, to, why } = found;
    let to = place::successor(pass, instance, ask, to, &format!("moved from {from}: {why}"));
    let (instance, app) = (instance.id.clone(), instance.app.clone());
    state.moves.push(Moving { instance, app, to, given_up: false });
}

/// One that begins because a node stands empty, where that is enabled and a move there would improve the balance.
fn by_itself(pass: &mut Pass<'_>) -> Option<Rebalance> {
    let policy = pass.input.policy;
    if !policy.rebalance_on_join || pass.braked {
        return None;
    }
    let desired = pass.input.desired;
    let last = desired.rebalance.as_ref();
    // What people have cancelled does not come back before they ask again.
    if last.is_some_and(|last| last.cancelled) {
        return None;
    }
    let mut state = Rebalance::new(last.map_or(1, |last| last.number + 1), ITSELF);
    // What could not be moved once is not tried again and again, until somebody asks or it is replaced.
    let stands = |id: &InstanceId| desired.instances.iter().any(|known: &Instance| known.id == *id && known.want == Want::Run);
    let given_up = last.into_iter().flat_map(|last| &last.moves).filter(|moving| moving.given_up && stands(&moving.instance));
    state.moves.extend(given_up.cloned());
    let arrived = loads::arrived(pass);
    if arrived.is_empty() || state.failures() >= policy.rebalance_failures {
        return None;
    }
    let found = search::best(pass, &state, |node| arrived.contains(&node))?;
    let node = found.to_name(pass);
    note(pass, "rebalance_begun", format!("A rebalance begins by itself: {node} has joined or come back"));
    Some(state)
}

fn ended(moved: u32, why: &str) -> String {
    match moved {
        0 => format!("The rebalance has ended and nothing has moved: {why}"),
        1 => format!("The rebalance has ended, 1 instance has moved: {why}"),
        n => format!("The rebalance has ended, {n} instances have moved: {why}"),
    }
}

fn note(pass: &mut Pass<'_>, kind: &'static str, text: String) {
    let (severity, app, instance, node) = (Severity::Info, None, None, None);
    pass.plan.change(Change::Note(Note { severity, kind, app, instance, node, text, detail: None }));
}
