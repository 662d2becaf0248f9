//! Start what is missing; what is too much is withdrawn first.

use std::collections::BTreeSet;

use dinp_common::app::{App, Backoff};
use dinp_common::deploy::Strategy;

use super::place::place;
use super::{Target, partition, pause, withdraw};
use crate::bucket::Bucket;
use crate::plan::{Member, Pass};

/// Starts and withdraws; answers why an instance found no room, if one did not.
pub(super) fn advance(
    pass: &mut Pass<'_>,
    app: &App,
    target: &Target,
    backoff: Backoff,
    members: &[Member<'_>],
) -> Option<String> {
    let (new, old) = partition(pass, target, members);
    withdraw::lost(pass, target, members);
    let Some(release) = target.release.filter(|_| target.wanted > 0) else {
        let why = if app.deleted {
            "the app is deleted"
        } else if app.stopped {
            "the app is stopped"
        } else if target.release.is_none() {
            "its deploy did not succeed and no release was good before"
        } else {
            "no instance is wanted"
        };
        new.iter().chain(&old).for_each(|member| withdraw::one(pass, member, why));
        return None;
    };
    if target.paused {
        pause::keep(pass, app, target, backoff, &new, &old);
        return None;
    }
    if target.strategy == Strategy::Recreate {
        old.iter().for_each(|member| withdraw::one(pass, member, "it goes before the new release starts (strategy recreate)"));
        let waiting = members.iter().filter(|member| !target.is(member.instance) && !is_gone(member)).count();
        if waiting > 0 {
            pass.plan.hold(&app.name, format!("{release} starts when {waiting} old instances are gone (strategy recreate)"));
            return None;
        }
    } else {
        withdraw::replaced(pass, app, target, &new, &old);
    }
    if old.is_empty() {
        withdraw::extra(pass, app, target, &new);
    }
    let kept = keep_strength(pass, app, target, backoff, &new, &old);
    start_missing(pass, app, target, backoff, &new, old.len() + kept)
}

/// Starts what is missing of the target beside so many `old` ones; answers why one found no room, if so.
pub(super) fn start_missing(
    pass: &mut Pass<'_>,
    app: &App,
    target: &Target,
    backoff: Backoff,
    new: &[&Member<'_>],
    old: usize,
) -> Option<String> {
    let release = target.release?;
    if pass.braked && new.iter().any(|member| member.leaving && member.moves_to.is_none()) {
        let why = "what is on draining nodes stays there while so many nodes are lost at once";
        pass.plan.hold(&app.name, why);
        pass.plan.no_room.insert(app.name.clone(), why.to_owned());
    }
    let missing = missing(pass, target, new, old);
    if missing > 0 && (app.live, app.generation) == (Some(release), target.generation) && waits(pass, app, backoff) {
        return None;
    }
    let numbers = free_numbers(pass, target, new, missing);
    place(pass, app, release, target.generation, numbers)
}

/// What is on a lost node takes no room that anybody could use, and nobody can say when it is gone.
fn is_gone(member: &Member<'_>) -> bool {
    member.lost || matches!(member.bucket, Bucket::Stopping { gone: true } | Bucket::Dead { .. } | Bucket::Refused { .. })
}

/// Unhealthy for so long that another is started in its place.
fn is_ill(pass: &Pass<'_>, member: &Member<'_>) -> bool {
    matches!(member.bucket, Bucket::Sick { .. }) && member.instance.spent_ms >= pass.input.policy.unhealthy_grace_ms
}

/// Whether the live release has crashed so often that its next start waits.
fn waits(pass: &mut Pass<'_>, app: &App, backoff: Backoff) -> bool {
    if backoff.wait_ms > 0 {
        let seconds = backoff.wait_ms.div_ceil(1000);
        pass.plan.hold(&app.name, format!("the next start waits {seconds} s after {} crashes in a row", backoff.crashes));
    }
    backoff.wait_ms > 0
}

/// While a new release proves itself, what the live one loses is replaced: the new one may be bad. Answers how many
/// were started.
pub(super) fn keep_strength(
    pass: &mut Pass<'_>,
    app: &App,
    target: &Target,
    backoff: Backoff,
    new: &[&Member<'_>],
    old: &[&Member<'_>],
) -> usize {
    let live = Target { release: app.live, generation: app.generation, ..*target };
    let Some(release) = live.release.filter(|_| target.strategy == Strategy::Rolling && live != *target) else {
        return 0;
    };
    let serving = new.iter().filter(|member| member.bucket.serves()).count();
    let staying: Vec<_> = old.iter().copied().filter(|member| live.is(member.instance) || member.bucket.serves()).collect();
    let lacking = (target.floor as usize).saturating_sub(serving + staying.len());
    if lacking == 0 || waits(pass, app, backoff) {
        return 0;
    }
    let numbers = free_numbers(pass, target, &staying, lacking);
    let before = pass.next_instance;
    place(pass, app, release, live.generation, numbers);
    (pass.next_instance - before) as usize
}

/// How many instances may be started now.
fn missing(pass: &Pass<'_>, target: &Target, new: &[&Member<'_>], old: usize) -> usize {
    let ill = new.iter().filter(|member| is_ill(pass, member)).count();
    let missing = (target.wanted as usize).saturating_sub(new.len() - ill - leaving(pass, target, new));
    // What is ill and more than wanted stays until another one serves, which it must not keep from starting.
    let ill_extra = ill.saturating_sub(target.wanted as usize);
    let ceiling = (target.wanted + target.surge) as usize + ill_extra;
    if old == 0 && ill == 0 { missing } else { ceiling.saturating_sub(new.len() + old).min(missing) }
}

/// How many that run well another one is started for, since their nodes are being drained or they move. Not while many
/// nodes are lost at once, or while people hold the deploy back.
fn leaving(pass: &Pass<'_>, target: &Target, new: &[&Member<'_>]) -> usize {
    if pass.braked || target.paused {
        return 0;
    }
    let leaving = new.iter().filter(|member| member.leaving && !is_ill(pass, member)).count();
    leaving.min(pass.input.policy.drain_at_once(target.wanted) as usize)
}

/// Numbers that nobody has come first, then those of ill and leaving ones, which the new ones replace.
fn free_numbers(pass: &Pass<'_>, target: &Target, members: &[&Member<'_>], count: usize) -> Vec<u32> {
    let index = |member: &&Member<'_>| member.instance.index;
    let taken: BTreeSet<u32> = members.iter().map(index).collect();
    let ill: BTreeSet<u32> = members.iter().filter(|member| is_ill(pass, member)).map(index).collect();
    // One that has a successor already needs no second one.
    let leaving =
        |member: &&&Member<'_>| member.leaving && members.iter().filter(|other| index(other) == index(member)).count() == 1;
    let leaving: BTreeSet<u32> = members.iter().filter(leaving).map(index).collect();
    let beyond = (target.wanted..).filter(|index| !taken.contains(index));
    (0..target.wanted)
        .filter(|index| !taken.contains(index))
        .chain(ill.iter().copied())
        .chain(leaving.difference(&ill).copied())
        .chain(beyond)
        .take(count)
        .collect()
}
