//! A deploy that people hold back: nothing of it goes forward, nothing that serves is lost, and its time stands still.

use dinp_common::app::{App, Backoff};
use dinp_common::deploy::{Deploy, DeployState};
use dinp_common::event::Severity;
use dinp_common::plan::Change;

use super::{Target, advance};
use crate::cause;
use crate::plan::{About, Member, Pass};

/// Counts the time it is held back; `true` if that is too long, and the deploy is cancelled.
pub(super) fn hold(pass: &mut Pass<'_>, app: &App, deploy: &Deploy, why: &str) -> bool {
    let elapsed_ms = pass.input.elapsed_ms;
    let paused_ms = deploy.paused_ms + elapsed_ms;
    if paused_ms >= pass.input.policy.pause_most_ms {
        forgotten(pass, app, deploy);
        return true;
    }
    if elapsed_ms > 0 {
        pass.plan.change(Change::Held { app: app.name.clone(), deploy: deploy.number, paused_ms });
    }
    pass.plan.hold(&app.name, format!("{why}; it goes on with: dinp resume {}", app.name));
    false
}

fn forgotten(pass: &mut Pass<'_>, app: &App, deploy: &Deploy) {
    let hours = pass.input.policy.pause_most_ms / 3_600_000;
    let then = match app.live {
        Some(live) => format!("{live} takes all traffic again as soon as it is back at full strength"),
        None => cause::still(app),
    };
    let text = format!("{} {} is cancelled: it was paused for {hours} h. {then}", deploy.kind, deploy.number);
    pass.plan.note(Severity::Warning, "deploy_cancelled", About::app(&app.name), text);
    let (app, deploy) = (app.name.clone(), deploy.number);
    pass.plan.change(Change::Finish { app, deploy, state: DeployState::Cancelled, failure: None });
}

/// Replaces what is lost of the strength there was before the deploy, by the live release, and starts and withdraws
/// nothing else.
pub(super) fn keep(pass: &mut Pass<'_>, app: &App, target: &Target, backoff: Backoff, new: &[&Member<'_>], old: &[&Member<'_>]) {
    let before = pass.input.desired.deploy(&app.name).and_then(|deploy| deploy.before);
    let wanted = before.map_or(target.wanted, |before| target.wanted.min(before.instances));
    let floor = Target { wanted, floor: wanted, ..*target };
    if (app.live, app.generation) == (target.release, target.generation) {
        advance::start_missing(pass, app, &floor, backoff, new, old.len());
    } else {
        advance::keep_strength(pass, app, &floor, backoff, new, old);
    }
}
