//! What a dry run says: node by node, then step by step, then how it would end.

use dinp_common::deploy::{Cause, DeployState, Strategy};
use dinp_common::name::AppName;
use dinp_common::rehearsal::{PlanAction, PlanNode, PlanStep, PlanView};

use super::failure::{Exit, Failure};
use super::output::{Output, text};
use super::session::Session;
use super::words;

/// Prints the plan; one that would fail is a failure.
pub fn print(session: &Session, plan: &PlanView) -> Result<(), Failure> {
    session.out.one(plan, plan.app.as_str(), |out| {
        out.say(words::dry_run(plan));
        nodes(out, &plan.nodes);
        if let Some(filtered) = &plan.filtered {
            out.line(words::filtered(filtered));
        }
        steps(out, plan.steps.iter().map(|step| (None, step)));
        if plan.strategy == Strategy::Rolling && plan.steps.iter().any(|step| step.action != PlanAction::Start) {
            out.line(words::at_once(plan));
        }
        if plan.outcome == Some(DeployState::Succeeded) {
            out.line(words::would_succeed(plan));
        }
    })?;
    let Some(failure) = &plan.failure else { return Ok(()) };
    let exit = if failure.cause == Cause::NoRoom { Exit::NoRoom } else { Exit::Failed };
    Err(Failure::new(exit, words::would_fail(plan)).why(&failure.why).fix(&failure.fix))
}

pub fn nodes(out: &Output, nodes: &[PlanNode]) {
    if nodes.is_empty() {
        return out.line(words::NO_NODES);
    }
    let row = |node: &PlanNode| vec![text(&node.name), text(node.now), text(node.then)];
    out.table(&["NODE", "NOW", "THEN"], nodes.iter().map(row).collect());
}

/// Each step, with its app where they are of several.
pub fn steps<'s>(out: &Output, steps: impl Iterator<Item = (Option<&'s AppName>, &'s PlanStep)>) {
    let row = |(place, (app, step)): (usize, (Option<&AppName>, &PlanStep))| {
        let of_app = app.map_or_else(String::new, |app| format!("{app} "));
        let which = format!("{of_app}{} number {}", step.release, step.index);
        vec![text(place + 1), text(step.action.as_str()), text(which), text(&step.node), text(&step.reason)]
    };
    let rows: Vec<Vec<_>> = steps.enumerate().map(row).collect();
    if rows.is_empty() {
        return out.line(words::NOTHING_MOVES);
    }
    out.line("");
    out.table(&["STEP", "DOES", "INSTANCE", "NODE", "WHY"], rows);
}
