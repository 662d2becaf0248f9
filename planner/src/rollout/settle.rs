//! What happened to each instance since the last pass.

use dinp_common::app::{App, Backoff};
use dinp_common::event::Severity;
use dinp_common::instance::{Instance, Seen, Want};
use dinp_common::plan::Change;
use dinp_common::size::MiB;

use super::Target;
use crate::bucket::Bucket;
use crate::plan::{About, Member, Pass};

/// Instances that ended without being asked to.
#[derive(Debug, Default)]
pub(super) struct Losses<'m, 'a> {
    /// Of what is being rolled out.
    pub failed_starts: Vec<&'m Member<'a>>,
    /// Whether the live release lost any. Many at once are one event, such as a reboot.
    pub crashes: bool,
}

pub(super) fn settle<'m, 'a>(pass: &mut Pass<'a>, app: &App, target: &Target, members: &'m [Member<'a>]) -> Losses<'m, 'a> {
    let mut losses = Losses::default();
    for member in members {
        let instance = member.instance;
        match &member.bucket {
            Bucket::Starting { healthy: true } => prove(pass, instance),
            // A pause takes nothing off the time it has to become healthy.
            Bucket::Starting { healthy: false } if target.paused && target.is(instance) => {}
            Bucket::Starting { healthy: false } => spend(pass, instance),
            Bucket::Ready if instance.spent_ms > 0 => {
                pass.plan.change(Change::Spend { instance: instance.id.clone(), spent_ms: 0 });
            }
            Bucket::Ready | Bucket::Unknown => {}
            Bucket::Sick { why } => sick(pass, instance, why),
            Bucket::Dead { .. } | Bucket::Refused { .. } => {
                ended(pass, member);
                if instance.want == Want::Run {
                    let of_live = app.live == Some(instance.release) && app.generation == instance.generation;
                    losses.crashes |= of_live;
                    // One that has served and crashed says nothing about a start.
                    if target.is(instance) && !(of_live && instance.proven) {
                        losses.failed_starts.push(member);
                    }
                }
            }
            Bucket::Lost if pass.braked => {
                pass.plan.hold(
                    &app.name,
                    format!("{} is lost with too many others; nothing is replaced until nodes return and stay", instance.node),
                );
            }
            Bucket::Lost => {} // It goes when others serve in its place.
            Bucket::Draining => drain(pass, app, instance),
            Bucket::Stopping { gone } => {
                if *gone && pass.confirmations.left_everywhere(&instance.id) {
                    pass.plan.change(Change::Forget { instance: instance.id.clone() });
                } else if *gone {
                    pass.plan.hold(
                        &app.name,
                        format!("the address of {} waits until every recorded router confirms its withdrawal", instance.id),
                    );
                }
            }
        }
    }
    losses
}

fn prove(pass: &mut Pass<'_>, instance: &Instance) {
    let report = pass.input.observed.nodes.get(&instance.node).and_then(|node| node.instances.get(&instance.id));
    if let Some(Seen::Running { address, .. }) = report.map(|report| &report.seen) {
        pass.plan.change(Change::Prove { instance: instance.id.clone(), address: *address });
    }
}

fn spend(pass: &mut Pass<'_>, instance: &Instance) {
    if pass.input.elapsed_ms > 0 {
        let spent_ms = instance.spent_ms + pass.input.elapsed_ms;
        pass.plan.change(Change::Spend { instance: instance.id.clone(), spent_ms });
    }
}

fn sick(pass: &mut Pass<'_>, instance: &Instance, why: &str) {
    // A moment is no news: a container that has just ended is unhealthy until Docker says how it ended.
    let since_ms = instance.spent_ms + pass.input.elapsed_ms;
    let said_after_ms = pass.input.policy.unhealthy_said_after_ms;
    if instance.spent_ms < said_after_ms && since_ms >= said_after_ms {
        let text = format!("{} is unhealthy: {why}", instance.id);
        pass.plan.note(Severity::Warning, "instance_unhealthy", About::instance(instance), text);
    }
    spend(pass, instance);
}

/// A container that ended has nothing to drain: it leaves the routes and goes at once.
fn ended(pass: &mut Pass<'_>, member: &Member<'_>) {
    let instance = member.instance;
    let memory = pass.input.desired.spec(&instance.app, instance.release).map_or(MiB(0), |spec| spec.memory);
    let (what, detail) = match &member.bucket {
        Bucket::Dead { exit } => (exit.describe(memory), Some(exit.output.clone()).filter(|output| !output.is_empty())),
        Bucket::Refused { why } => (why.clone(), None),
        Bucket::Starting { .. }
        | Bucket::Ready
        | Bucket::Unknown
        | Bucket::Sick { .. }
        | Bucket::Lost
        | Bucket::Draining
        | Bucket::Stopping { .. } => return,
    };
    pass.plan.move_to(instance, Want::Stop, format!("it ended: {what}"));
    if instance.want == Want::Run {
        let text = format!("{} of {} ended: {what}", instance.id, instance.release);
        pass.plan.note(Severity::Warning, "instance_ended", About { detail, ..About::instance(instance) }, text);
    }
}

fn drain(pass: &mut Pass<'_>, app: &App, instance: &Instance) {
    if !pass.confirmations.left(&instance.id) {
        if !pass.confirmations.any_live() {
            pass.plan.hold(
                &app.name,
                format!("no router answers, so {} keeps running until one confirms that it is out of the routes", instance.id),
            );
        }
        return;
    }
    let in_flight = pass.confirmations.in_flight(&instance.id);
    let silent = in_flight.silent.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if in_flight.is_nothing() {
        pass.plan.move_to(instance, Want::Stop, "every router confirmed its withdrawal and nothing is in flight");
    } else if instance.spent_ms >= pass.input.policy.drain_grace_ms {
        let text = match in_flight.reported {
            0 => format!("its drain grace ended, and nobody knows what router {silent} still carries"),
            n => format!("its drain grace ended with {n} requests still in flight"),
        };
        pass.plan.note(Severity::Warning, "drain_cut", About::instance(instance), format!("{}: {text}", instance.id));
        pass.plan.move_to(instance, Want::Stop, text);
    } else {
        if !silent.is_empty() {
            pass.plan.hold(&app.name, format!("router {silent} is silent, so {} keeps its whole drain grace", instance.id));
        }
        spend(pass, instance);
    }
}

/// Time and crashes of the live release: quick at first, then slower and slower, and calm again after a while.
/// Answers the back-off as it is after this pass.
pub(super) fn backoff(pass: &mut Pass<'_>, app: &App, crashed: bool) -> Backoff {
    let policy = pass.input.policy;
    let mut next = app.backoff;
    if crashed {
        next.crashes = next.crashes.saturating_add(1);
        next.wait_ms = policy.backoff_ms(next.crashes, app.instances);
        next.calm_ms = 0;
    } else if next.crashes > 0 {
        next.wait_ms = next.wait_ms.saturating_sub(pass.input.elapsed_ms);
        next.calm_ms += pass.input.elapsed_ms;
        if next.calm_ms >= policy.backoff_calm_ms {
            next = Backoff::default();
        }
    }
    if next != app.backoff {
        pass.plan.change(Change::Backoff { app: app.name.clone(), backoff: next });
    }
    next
}
