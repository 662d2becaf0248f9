//! When a rebalance ends, and why: every one does.

use dinp_common::app::App;
use dinp_common::instance::Want;
use dinp_common::name::AppName;
use dinp_common::plan::Change;
use dinp_common::rebalance::Rebalance;

use super::search;
use crate::bucket::Bucket;
use crate::observed::Freshness;
use crate::plan::Pass;
use crate::rollout::place;

/// Names that are written out where several are left alone.
const NAMED: usize = 3;

/// Why it ends now; `None` while it goes on.
pub(super) fn of(pass: &mut Pass<'_>, state: &Rebalance) -> Option<String> {
    let policy = pass.input.policy;
    let most_ms = policy.rebalance_still_most_ms;
    let waits = state.under_way().next().map(|moving| format!("{} of {} is on its way", moving.instance, moving.app));
    let waits = waits.or_else(|| is_deciding(pass).then(|| "other things are being decided".to_owned()));
    let waits = waits.or_else(|| waits_for(pass));
    match waits {
        Some(_) if state.still_ms < most_ms => None,
        Some(what) => Some(format!("nothing has moved for {} s, since {what}", most_ms / 1000)),
        None if state.failures() >= policy.rebalance_failures => {
            Some(format!("{} moves have failed, so the rest stays where it is", state.failures()))
        }
        None => {
            Some(nowhere(pass).unwrap_or_else(|| format!("no move improves the balance any more{}", left_alone(pass, state))))
        }
    }
}

/// What this pass decides is not yet to be seen, and may make another move possible.
fn is_deciding(pass: &Pass<'_>) -> bool {
    pass.plan.changes.iter().any(|change| matches!(change, Change::Place { .. } | Change::Move { .. } | Change::Forget { .. }))
}

/// What may make another move possible soon.
fn waits_for(pass: &Pass<'_>) -> Option<String> {
    if pass.braked {
        return Some("so many nodes are lost at once".to_owned());
    }
    let unclear = |freshness| matches!(freshness, Freshness::NotYetSeen | Freshness::Suspect);
    let recorded = &pass.standings.nodes[..pass.standings.recorded];
    if let Some(row) = recorded.iter().find(|row| unclear(row.freshness)) {
        return Some(format!("{} has not been heard just now", row.name));
    }
    let desired = pass.input.desired;
    let known = desired.apps.iter().filter(|app| !desired.refused.contains_key(app.name.as_str()));
    known.filter(|app| !pass.standings.is_well(&app.name)).find_map(|app| changes(pass, app))
}

/// What of an app changes by itself within a while.
fn changes(pass: &Pass<'_>, app: &App) -> Option<String> {
    if let Some(deploy) = pass.input.desired.deploy(&app.name) {
        return deploy
            .paused
            .is_none()
            .then(|| format!("{} is being changed by its {} {}", app.name, deploy.kind, deploy.number));
    }
    let members = pass.members(&app.name);
    let passing = members.iter().find(|member| match member.bucket {
        Bucket::Starting { .. } | Bucket::Unknown | Bucket::Draining | Bucket::Stopping { gone: false } => !member.lost,
        Bucket::Dead { .. } | Bucket::Refused { .. } => true,
        Bucket::Ready | Bucket::Sick { .. } | Bucket::Lost | Bucket::Stopping { gone: true } => false,
    })?;
    let does = if passing.instance.want == Want::Run { "is starting" } else { "is leaving" };
    Some(format!("{} of {} {does}", passing.instance.id, app.name))
}

/// Fewer than two nodes take new instances.
fn nowhere(pass: &mut Pass<'_>) -> Option<String> {
    let nodes = place::nodes(pass);
    let mut part = (0..nodes.count()).filter(|node| nodes.takes_part(*node));
    match (part.next(), part.next(), nodes.count()) {
        (_, Some(_), _) => None,
        (Some(only), None, 1) => Some(format!("{} is the only node, so there is nowhere to move", nodes.name(only))),
        (Some(only), None, _) => {
            Some(format!("only {} takes new instances, so there is nowhere to move (dinp nodes)", nodes.name(only)))
        }
        (None, ..) => Some("no node takes new instances, so there is nowhere to move (dinp nodes)".to_owned()),
    }
}

/// Apps that a move might have helped and that are not to be touched, in words.
fn left_alone(pass: &Pass<'_>, state: &Rebalance) -> String {
    let why = |app: &App| -> Option<&'static str> {
        let wants = !app.stopped && !app.deleted && app.live.is_some() && app.instances > 0;
        let failed = state.moves.iter().any(|moving| moving.given_up && moving.app == app.name);
        if failed { Some("a move of it has failed") } else { search::at_rest(pass, app).err().filter(|_| wants) }
    };
    let left = pass.input.desired.apps.iter().filter_map(|app| Some((&app.name, why(app)?)));
    let left: Vec<(&AppName, &str)> = left.collect();
    let named: Vec<String> = left.iter().take(NAMED).map(|(app, why)| format!("{app} ({why})")).collect();
    match left.len().saturating_sub(NAMED) {
        _ if left.is_empty() => String::new(),
        0 => format!("; left alone: {}", named.join(", ")),
        more => format!("; left alone: {} and {more} more", named.join(", ")),
    }
}
