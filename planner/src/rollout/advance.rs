//! Start what is missing, withdraw what is too much.

use std::collections::BTreeSet;

use dinp_common::app::{App, Backoff};
use dinp_common::deploy::Strategy;
use dinp_common::event::Severity;
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::plan::Change;
use dinp_common::release::ReleaseNo;
use dinp_common::size::MiB;

use super::{Target, partition};
use crate::bucket::Bucket;
use crate::plan::{About, Member, Pass};

/// Starts and withdraws; answers why an instance found no room, if one did not.
pub(super) fn advance(
    pass: &mut Pass<'_>,
    app: &App,
    target: &Target,
    backoff: Backoff,
    members: &[Member<'_>],
) -> Option<String> {
    let (new, old) = partition(target, members);
    let Some(release) = target.release.filter(|_| target.wanted > 0) else {
        let why = if app.deleted {
            "the app is deleted"
        } else if app.stopped {
            "the app is stopped"
        } else if target.release.is_none() {
            "its deploy failed and no release was good before"
        } else {
            "no instance is wanted"
        };
        new.iter().chain(&old).for_each(|member| withdraw(pass, member, why));
        return None;
    };
    if target.strategy == Strategy::Recreate {
        old.iter().for_each(|member| withdraw(pass, member, "it goes before the new release starts (strategy recreate)"));
        let waiting = members.iter().filter(|member| !target.is(member.instance) && !is_gone(member)).count();
        if waiting > 0 {
            pass.plan.hold(&app.name, format!("{release} starts when {waiting} old instances are gone (strategy recreate)"));
            return None;
        }
    } else {
        withdraw_replaced(pass, target, &new, &old);
    }
    if old.is_empty() {
        withdraw_extra(pass, target, &new);
    }
    let missing = missing(pass, target, &new, &old);
    if missing > 0 && app.live == Some(release) && backoff.wait_ms > 0 {
        let seconds = backoff.wait_ms.div_ceil(1000);
        pass.plan.hold(&app.name, format!("the next start waits {seconds} s after {} crashes in a row", backoff.crashes));
        return None;
    }
    let taken = new.iter().map(|member| member.instance.index).collect();
    place(pass, app, release, target.generation, missing, taken)
}

fn is_gone(member: &Member<'_>) -> bool {
    matches!(member.bucket, Bucket::Stopping { gone: true } | Bucket::Dead { .. } | Bucket::Refused { .. })
}

/// Takes an instance out of the routes, or straight away if it was never in them.
fn withdraw(pass: &mut Pass<'_>, member: &Member<'_>, why: impl Into<String>) {
    let want = if member.instance.proven { Want::Drain } else { Want::Stop };
    pass.plan.move_to(member.instance, want, why);
}

/// Serves, and every live router is known to send it traffic.
fn takes_traffic(pass: &Pass<'_>, member: &Member<'_>) -> bool {
    member.bucket.serves() && pass.confirmations.entered(&member.instance.id)
}

/// One old instance goes for each new one that takes traffic, the weakest first.
fn withdraw_replaced(pass: &mut Pass<'_>, target: &Target, new: &[&Member<'_>], old: &[&Member<'_>]) {
    let proven = new.iter().filter(|member| takes_traffic(pass, member)).count();
    let may_go = (proven + old.len()).saturating_sub(target.wanted as usize).min(old.len());
    let mut victims: Vec<&&Member<'_>> = old.iter().collect();
    victims.sort_by_key(|member| (member.bucket.serves(), std::cmp::Reverse(member.instance.index), member.instance.id.clone()));
    for member in victims.into_iter().take(may_go) {
        let why = format!("replaced by {}", target.release.map_or_else(String::new, |release| release.to_string()));
        withdraw(pass, member, why);
    }
}

/// More than wanted: unproven ones first, then unhealthy ones, then the highest index; never below what is wanted.
fn withdraw_extra(pass: &mut Pass<'_>, target: &Target, new: &[&Member<'_>]) {
    let mut extra = new.len().saturating_sub(target.wanted as usize);
    let mut serving = new.iter().filter(|member| takes_traffic(pass, member)).count();
    let mut starting = new.iter().filter(|member| matches!(member.bucket, Bucket::Starting { .. })).count();
    let mut victims: Vec<&&Member<'_>> = new.iter().collect();
    victims.sort_by_key(|member| {
        let strength = match member.bucket {
            Bucket::Starting { .. } => 0,
            Bucket::Sick { .. } => 1,
            _ => 2,
        };
        (strength, std::cmp::Reverse(member.instance.index), member.instance.id.clone())
    });
    for member in victims {
        if extra == 0 {
            return;
        }
        let may_go = match member.bucket {
            Bucket::Starting { .. } => serving + starting > target.wanted as usize,
            Bucket::Sick { .. } => serving >= target.wanted as usize,
            _ => serving > target.wanted as usize,
        };
        if may_go {
            match member.bucket {
                Bucket::Starting { .. } => starting -= 1,
                Bucket::Sick { .. } => {}
                _ => serving = serving.saturating_sub(usize::from(takes_traffic(pass, member))),
            }
            withdraw(pass, member, format!("{} instances are wanted", target.wanted));
            extra -= 1;
        }
    }
}

/// How many instances may be started now.
fn missing(pass: &Pass<'_>, target: &Target, new: &[&Member<'_>], old: &[&Member<'_>]) -> usize {
    let policy = pass.input.policy;
    let ill = new
        .iter()
        .filter(|member| matches!(member.bucket, Bucket::Sick { .. }) && member.instance.spent_ms >= policy.unhealthy_grace_ms)
        .count();
    let missing = (target.wanted as usize).saturating_sub(new.len() - ill);
    let ceiling = (target.wanted + policy.surge(target.wanted)) as usize;
    if old.is_empty() && ill == 0 { missing } else { ceiling.saturating_sub(new.len() + old.len()).min(missing) }
}

fn place(
    pass: &mut Pass<'_>,
    app: &App,
    release: ReleaseNo,
    generation: u32,
    missing: usize,
    mut taken: BTreeSet<u32>,
) -> Option<String> {
    let memory = pass.input.desired.spec(&app.name, release).map_or(MiB(0), |spec| spec.memory);
    for _ in 0..missing {
        match pass.nodes.place(&app.name, memory) {
            Ok(placed) => {
                let index = (0..).find(|index| !taken.contains(index)).unwrap_or(0);
                taken.insert(index);
                start(pass, app, release, generation, index, placed);
            }
            Err(why) => {
                pass.plan.hold(&app.name, format!("no room for one more instance of {release}: {why}"));
                return Some(why);
            }
        }
    }
    None
}

fn start(pass: &mut Pass<'_>, app: &App, release: ReleaseNo, generation: u32, index: u32, placed: crate::placement::Placed) {
    let sequence = pass.next_instance;
    pass.next_instance += 1;
    let instance = Instance {
        id: InstanceId::new(&pass.input.publisher.fence().cluster, sequence),
        app: app.name.clone(),
        release,
        generation,
        node: placed.node,
        index,
        want: Want::Run,
        proven: false,
        spent_ms: 0,
        address: None,
        reason: format!("placed: {}", placed.reason),
    };
    let text = format!("{} of {release} placed on {} ({})", instance.id, instance.node, placed.reason);
    pass.plan.note(Severity::Info, "instance_placed", About::instance(&instance), text);
    pass.plan.change(Change::Place { instance, sequence });
}
