//! How a deploy ends: every one does.

use dinp_common::app::App;
use dinp_common::deploy::{Cause, Deploy, DeployKind, DeployPhase, DeployState, Failure, Strategy};
use dinp_common::event::Severity;
use dinp_common::instance::{Seen, Want};
use dinp_common::plan::Change;
use dinp_common::release::ReleaseNo;

use super::settle::Losses;
use super::{Target, partition};
use crate::bucket::Bucket;
use crate::cause::{self, Waited};
use crate::plan::{About, Input, Member, Pass};

/// Fails the deploy if it cannot succeed any more; `true` if it did.
pub(super) fn fail(
    pass: &mut Pass<'_>,
    app: &App,
    deploy: &Deploy,
    target: &Target,
    members: &[Member<'_>],
    losses: &Losses<'_, '_>,
) -> bool {
    let policy = pass.input.policy;
    let spent_ms = deploy.spent_ms + pass.input.elapsed_ms;
    if deploy.phase == DeployPhase::Build {
        if spent_ms < policy.build_deadline_ms {
            progress(pass, app, deploy, spent_ms, 0);
            return false;
        }
        let failure = cause::no_builder(app, policy.build_deadline_ms);
        return end_failed(pass, app, deploy, failure, &[]);
    }
    let failed_starts = deploy.failed_starts + losses.failed_starts.len() as u32;
    progress(pass, app, deploy, spent_ms, failed_starts);
    if target.wanted == 0 {
        return false; // What is about to go need not be healthy.
    }
    let (new, _) = partition(pass, target, members);
    if let Some(last) = losses.failed_starts.last().filter(|_| failed_starts >= policy.failed_starts) {
        let failure = cause::failed_start(pass.input.desired, app, last, failed_starts);
        return end_failed(pass, app, deploy, failure, &new);
    }
    let late = new.iter().find_map(|member| Some((member, late(pass.input, deploy, member)?)));
    if let Some((member, waited)) = late {
        let failure = cause::never_healthy(pass.input, app, member, waited);
        return end_failed(pass, app, deploy, failure, &new);
    }
    false
}

/// Whether a new instance has stood at one step for longer than that step may take, or at all of them together.
fn late(input: Input<'_>, deploy: &Deploy, member: &Member<'_>) -> Option<Waited> {
    let policy = input.policy;
    if member.bucket != (Bucket::Starting { healthy: false }) {
        return None;
    }
    let instance = member.instance;
    let spent_ms = instance.spent_ms + input.elapsed_ms;
    let node = input.observed.nodes.get(&instance.node);
    // A pause and an outage count for nothing, so no step has lasted longer than all of it.
    let at_step_ms = node.and_then(|node| node.steps.get(&instance.id)).map_or(spent_ms, |at_step_ms| spent_ms.min(*at_step_ms));
    let seen = node.and_then(|node| node.instances.get(&instance.id)).map(|report| &report.seen);
    let grace_ms = match seen {
        Some(Seen::Pending { .. }) => policy.create_grace_ms,
        Some(Seen::Running { .. } | Seen::Exited { .. } | Seen::Failed { .. } | Seen::Stopping | Seen::Gone) | None => {
            policy.start_grace_ms
        }
    };
    let over = |spent_ms: u64, grace_ms: u64| spent_ms >= grace_ms.min(deploy.deadline_ms);
    if over(at_step_ms, grace_ms) {
        return Some(Waited::AtStep(at_step_ms));
    }
    over(spent_ms, policy.start_most_ms()).then_some(Waited::InAll(spent_ms))
}

/// Ends the deploy well if everything it asked for is true, and badly if its time is over.
pub(super) fn succeed_or_wait(
    pass: &mut Pass<'_>,
    app: &App,
    deploy: &Deploy,
    target: &Target,
    members: &[Member<'_>],
    shortage: Option<String>,
) {
    if deploy.phase == DeployPhase::Build {
        return;
    }
    if done(pass, app, target, members) {
        succeed(pass, app, deploy, target);
        return;
    }
    if target.paused {
        return;
    }
    let spent_ms = deploy.spent_ms + pass.input.elapsed_ms;
    if spent_ms >= deploy.deadline_ms {
        let (new, _) = partition(pass, target, members);
        let failure = match shortage {
            Some(why) => cause::no_room(pass.input.desired, app, target, &why),
            None if app.deleted && pass.confirmations.any_live() => cause::not_gone(app, deploy, members),
            None if !pass.confirmations.any_live() || all_serve(target, &new) => {
                cause::not_routed(app, pass.confirmations.any_live())
            }
            None => too_late(pass, app, deploy, target, members),
        };
        end_failed(pass, app, deploy, failure, &new);
    }
}

/// A deadline shorter than the start grace meets instances that never answered well: that is then the cause.
fn too_late(pass: &Pass<'_>, app: &App, deploy: &Deploy, target: &Target, members: &[Member<'_>]) -> Failure {
    let unproven = |member: &&Member<'_>| matches!(member.bucket, Bucket::Starting { healthy: false });
    match members.iter().filter(|member| target.is(member.instance)).find(unproven) {
        Some(late) => {
            let waited = Waited::InAll(late.instance.spent_ms + pass.input.elapsed_ms);
            cause::never_healthy(pass.input, app, late, waited)
        }
        None => cause::deadline(app, deploy, target, members),
    }
}

fn done(pass: &Pass<'_>, app: &App, target: &Target, members: &[Member<'_>]) -> bool {
    if app.deleted {
        return members.is_empty();
    }
    let (new, old) = partition(pass, target, members);
    let all_in = all_serve(target, &new) && new.iter().all(|member| pass.confirmations.entered(&member.instance.id));
    let all_out = old.is_empty()
        && members
            .iter()
            .filter(|member| member.instance.want != Want::Run && member.instance.proven)
            .all(|member| pass.confirmations.left(&member.instance.id));
    all_in && all_out
}

fn all_serve(target: &Target, new: &[&Member<'_>]) -> bool {
    let wanted = if target.release.is_some() { target.wanted as usize } else { 0 };
    new.len() == wanted && new.iter().all(|member| member.bucket.serves())
}

fn succeed(pass: &mut Pass<'_>, app: &App, deploy: &Deploy, target: &Target) {
    if let Some(release) = target.release.filter(|_| deploy.to.is_some())
        && (app.live, app.generation) != (Some(release), target.generation)
    {
        pass.plan.change(Change::Live { app: app.name.clone(), release, generation: target.generation });
        pass.plan.change(Change::Backoff { app: app.name.clone(), backoff: Default::default() });
    }
    let (app_name, number) = (app.name.clone(), deploy.number);
    pass.plan.change(Change::Finish { app: app_name, deploy: number, state: DeployState::Succeeded, failure: None });
    let text = format!("{} {number}: {}", deploy.kind, succeeded(deploy, target));
    pass.plan.note(Severity::Info, "deploy_succeeded", About::app(&app.name), text);
    if app.deleted {
        pass.plan.change(Change::Erase { app: app.name.clone() });
    }
}

fn succeeded(deploy: &Deploy, target: &Target) -> String {
    let release = target.release.map_or_else(|| "nothing".to_owned(), |release| release.to_string());
    match deploy.kind {
        DeployKind::Release | DeployKind::Rollback => format!("{release} serves ({})", deploy.note),
        DeployKind::Scale => format!("{} instances of {release} serve", target.wanted),
        DeployKind::Restart => format!("every instance of {release} is new"),
        DeployKind::Stop => "no instance takes traffic any more".to_owned(),
        DeployKind::Start => format!("{} instances of {release} serve again", target.wanted),
        DeployKind::Delete => "nothing of it is left".to_owned(),
    }
}

fn progress(pass: &mut Pass<'_>, app: &App, deploy: &Deploy, spent_ms: u64, failed_starts: u32) {
    if (spent_ms, failed_starts) != (deploy.spent_ms, deploy.failed_starts) {
        pass.plan.change(Change::Progress { app: app.name.clone(), deploy: deploy.number, spent_ms, failed_starts });
    }
}

/// `new` are the instances it tried, which leave again unless the live release is what it tried.
fn end_failed(pass: &mut Pass<'_>, app: &App, deploy: &Deploy, mut failure: Failure, new: &[&Member<'_>]) -> bool {
    let other = |live: &ReleaseNo| deploy.to != Some(*live) || deploy.generation != app.generation;
    if let Some(live) =
        app.live.filter(|live| other(live) && !app.stopped && !app.deleted && deploy.phase == DeployPhase::Rollout)
    {
        let tried = new.iter().filter(|member| member.bucket.serves()).count();
        if deploy.strategy == Strategy::Recreate {
            failure.now = format!("{live} was stopped to make room and is started again");
        } else if tried > 0 {
            failure.now = format!("{live} takes all traffic again as soon as it is back at full strength");
        }
    }
    let text = format!("{} {} failed: {}. {}", deploy.kind, deploy.number, failure.why, failure.now);
    let severity = if failure.cause == Cause::NoRoom { Severity::Warning } else { Severity::Error };
    pass.plan.note(severity, "deploy_failed", About { detail: failure.output.clone(), ..About::app(&app.name) }, text);
    let (app, number) = (app.name.clone(), deploy.number);
    pass.plan.change(Change::Finish { app, deploy: number, state: DeployState::Failed, failure: Some(failure) });
    true
}
