//! One app in one pass: settle what happened, then start, withdraw and finish.
//!
//! The order is the promise: an old instance leaves only after as many new ones are proven, routed and confirmed by
//! every live router, and a failed deploy turns the target back to the last good release, so that the same rules
//! bring the old strength back.

mod advance;
mod finish;
mod pause;
pub(crate) mod place;
mod settle;
mod victims;
mod withdraw;

use dinp_common::app::App;
use dinp_common::deploy::{Deploy, DeployPhase, Strategy};
use dinp_common::instance::Instance;
use dinp_common::name::AppName;
use dinp_common::release::ReleaseNo;

use crate::bucket::Bucket;
use crate::plan::{Member, Pass};
use crate::policy::Policy;

/// What the app's instances should be just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// `None`: nothing was ever proven good and nothing is being tried.
    pub release: Option<ReleaseNo>,
    pub generation: u32,
    pub wanted: u32,
    /// So many may run beyond those wanted while others are replaced.
    pub surge: u32,
    /// So many serve at least while a rolling deploy replaces the others.
    pub floor: u32,
    pub strategy: Strategy,
    /// People hold the deploy back: nothing of it goes forward.
    pub paused: bool,
}

impl Target {
    fn of(app: &App, deploy: Option<&Deploy>, policy: &Policy) -> Self {
        let wanted = if app.stopped || app.deleted { 0 } else { app.instances };
        let surge = policy.surge(app.pace, wanted);
        let rollout = deploy.filter(|deploy| deploy.phase == DeployPhase::Rollout && deploy.to.is_some());
        match rollout {
            Some(Deploy { to, generation, strategy, paused, .. }) => {
                let (strategy, paused) = (*strategy, paused.is_some());
                let floor = wanted - policy.unavailable(app.pace, wanted);
                Self { release: *to, generation: *generation, wanted, surge, floor, strategy, paused }
            }
            None => {
                let (release, generation) = (app.live, app.generation);
                let strategy = Strategy::Rolling;
                // Without a rollout nothing is done without, so one more at least may run.
                Self { release, generation, wanted, surge: surge.max(1), floor: wanted, strategy, paused: false }
            }
        }
    }

    pub(crate) fn is(&self, instance: &Instance) -> bool {
        self.release == Some(instance.release) && self.generation == instance.generation
    }
}

/// Decides for one app.
pub(crate) fn app(pass: &mut Pass<'_>, app: &App) {
    let members = pass.members(&app.name);
    let deploy = pass.input.desired.deploy(&app.name);
    let target = Target::of(app, deploy, pass.input.policy);
    let losses = settle::settle(pass, app, &target, &members);
    let backoff = settle::backoff(pass, app, losses.crashes);

    let ended = deploy.is_some_and(|deploy| match &deploy.paused {
        Some(why) => pause::hold(pass, app, deploy, why),
        None => finish::fail(pass, app, deploy, &target, &members, &losses),
    });
    if ended {
        return; // The next pass follows at once, with the target turned back.
    }
    let shortage = advance::advance(pass, app, &target, backoff, &members);
    if let Some(deploy) = deploy {
        finish::succeed_or_wait(pass, app, deploy, &target, &members, shortage);
    } else if app.deleted && members.is_empty() {
        pass.plan.change(dinp_common::plan::Change::Erase { app: app.name.clone() });
    }
}

/// Which nodes can take no more of what the app is to run, and why.
pub(crate) fn refusals(pass: &mut Pass<'_>, app: &AppName) -> String {
    let desired = pass.input.desired;
    let Some(app) = desired.app(app) else { return String::new() };
    let target = Target::of(app, desired.deploy(&app.name), pass.input.policy);
    target.release.map_or_else(String::new, |release| place::refusals(pass, app, release, target.generation))
}

/// Those that are meant to run and have not ended, of the target and of anything older. While the brake holds, what
/// is on lost nodes keeps its place.
fn partition<'m, 'a>(pass: &Pass<'_>, target: &Target, members: &'m [Member<'a>]) -> (Vec<&'m Member<'a>>, Vec<&'m Member<'a>>) {
    let counts = |member: &&Member<'_>| member.bucket.runs() || (pass.braked && member.bucket == Bucket::Lost);
    members.iter().filter(counts).partition(|member| target.is(member.instance))
}
