//! What becomes of a move that is under way.

use dinp_common::instance::{Instance, Want};
use dinp_common::rebalance::Moving;
use dinp_common::size::MiB;

use crate::bucket::Bucket;
use crate::plan::{Member, Pass};

pub(super) enum Fate {
    GoesOn,
    /// There is nothing to move any more, or the app has something else to do.
    Over,
    /// `news` is why, if nobody was told yet.
    GivenUp {
        news: Option<String>,
    },
}

pub(super) fn of(pass: &Pass<'_>, moving: &Moving) -> Fate {
    if moving.given_up {
        return Fate::GivenUp { news: None };
    }
    let desired = pass.input.desired;
    let goes_on = |app: &dinp_common::app::App| !app.stopped && !app.deleted && !desired.refused.contains_key(app.name.as_str());
    if !desired.app(&moving.app).is_some_and(goes_on) || desired.deploy(&moving.app).is_some() {
        return Fate::Over;
    }
    let members = pass.members(&moving.app);
    let runs = |member: &&Member<'_>| member.instance.want == Want::Run;
    let Some(leaves) = members.iter().filter(runs).find(|member| member.instance.id == moving.instance) else {
        return Fate::Over;
    };
    let successor = members.iter().filter(runs).find(|member| succeeds(member.instance, leaves.instance, moving));
    match failed(pass, moving, successor) {
        Some(why) => Fate::GivenUp { news: Some(why) },
        None => Fate::GoesOn,
    }
}

fn succeeds(successor: &Instance, leaves: &Instance, moving: &Moving) -> bool {
    let same = |instance: &Instance| (instance.release, instance.generation, instance.index);
    successor.id != leaves.id && successor.node == moving.to && same(successor) == same(leaves)
}

/// Why the successor will not serve, if so.
fn failed(pass: &Pass<'_>, moving: &Moving, successor: Option<&Member<'_>>) -> Option<String> {
    let Some(successor) = successor else { return Some("its successor there is gone".to_owned()) };
    let instance = successor.instance;
    match &successor.bucket {
        Bucket::Dead { exit } => {
            let memory = pass.input.desired.spec(&instance.app, instance.release).map_or(MiB(0), |spec| spec.memory);
            Some(format!("its successor there ended: {}", exit.describe(memory)))
        }
        Bucket::Refused { why } => Some(format!("its successor there could not be started: {why}")),
        Bucket::Lost => Some(format!("{} is lost", moving.to)),
        Bucket::Starting { healthy: false } => {
            let (spent_ms, most_ms) = (instance.spent_ms + pass.input.elapsed_ms, pass.input.policy.start_most_ms());
            (spent_ms >= most_ms).then(|| format!("its successor there was not healthy after {} s", spent_ms / 1000))
        }
        Bucket::Starting { healthy: true }
        | Bucket::Ready
        | Bucket::Unknown
        | Bucket::Sick { .. }
        | Bucket::Draining
        | Bucket::Stopping { .. } => None,
    }
}
