//! What is too much leaves, the weakest first, and never below what is wanted.

use std::cmp::Reverse;

use dinp_common::app::App;
use dinp_common::event::Severity;
use dinp_common::instance::Want;

use super::{Target, victims};
use crate::bucket::Bucket;
use crate::plan::{About, Member, Pass};

/// Takes an instance out of the routes, or straight away if it was never in them. That it was proven may be lost with a
/// database that failed over, and is seen by what routers carry to it.
pub(super) fn one(pass: &mut Pass<'_>, member: &Member<'_>, why: impl Into<String>) {
    let serves = member.instance.proven || pass.confirmations.in_flight(&member.instance.id).reported > 0;
    let want = if serves { Want::Drain } else { Want::Stop };
    pass.plan.move_to(member.instance, want, why);
}

/// Healthy now, and every live router is known to send it traffic. One of which nothing is known keeps its own place,
/// and is no reason to take another's away.
fn takes_traffic(pass: &Pass<'_>, member: &Member<'_>) -> bool {
    member.bucket == Bucket::Ready && pass.confirmations.entered(&member.instance.id)
}

/// One old instance goes for each new one that takes traffic: those that take none first, those of the live release
/// last, since a failed deploy returns to it.
pub(super) fn replaced(pass: &mut Pass<'_>, app: &App, target: &Target, new: &[&Member<'_>], old: &[&Member<'_>]) {
    if old.is_empty() {
        return;
    }
    let by = target.release.map_or_else(String::new, |release| release.to_string());
    let of_live = |member: &Member<'_>| app.live == Some(member.instance.release) && app.generation == member.instance.generation;
    let (abandoned, old): (Vec<&Member<'_>>, Vec<&Member<'_>>) =
        old.iter().partition(|member| matches!(member.bucket, Bucket::Starting { .. }) && !of_live(member));
    let returning = (app.live, app.generation) == (target.release, target.generation);
    let instead = if returning { format!("its deploy ended, and {by} stays") } else { format!("{by} is rolled out instead") };
    for member in abandoned {
        one(pass, member, instead.clone());
    }
    let floor = target.floor as usize;
    let starts = |member: &Member<'_>| matches!(member.bucket, Bucket::Starting { .. });
    // While the brake holds, what is on a lost node may serve, and is routed to.
    let may_serve = |member: &Member<'_>| member.bucket.serves() || member.bucket == Bucket::Lost;
    let keeps = |member: &Member<'_>| of_live(member) || member.bucket.serves();
    let proven = new.iter().filter(|member| takes_traffic(pass, member)).count();
    // What starts of the live release stands in for a lost one (`advance::keep_strength`). It is not too much while it is
    // counted on, or another one would be started for it at once; and it takes nobody's place before it is proven.
    let mut kept = proven + old.iter().filter(|member| keeps(member)).count();
    let mut shown = proven + old.iter().filter(|member| !starts(member)).count();
    let rank = |member: &Member<'_>| {
        let serves = (takes_traffic(pass, member), may_serve(member));
        // Of those that nobody has heard of, the routers' own stay.
        let routed = (pass.confirmations.entered(&member.instance.id), member.instance.proven);
        (serves, routed, of_live(member), !member.leaving, Reverse(member.instance.index), member.instance.id.clone())
    };
    let mut victims = old.clone();
    victims.sort_by_cached_key(|member| rank(member));
    let mut taking = new.iter().copied().chain(old.iter().copied()).filter(|member| takes_traffic(pass, member)).count();
    let mut left = victims.len();
    for member in victims {
        let enough = if starts(member) { kept } else { shown };
        if enough <= floor {
            continue;
        }
        let takes = usize::from(takes_traffic(pass, member));
        // A new leader knows of nobody yet: what may serve goes only while so many others are known to.
        if may_serve(member) && taking - takes < floor {
            continue;
        }
        taking -= takes;
        kept -= usize::from(keeps(member));
        shown -= usize::from(!starts(member));
        left -= 1;
        let why = match &member.bucket {
            Bucket::Sick { why } if proven == 0 => unhealthy(why),
            _ => format!("replaced by {by}"),
        };
        one(pass, member, why);
    }
    if left > 0 && new.iter().any(|member| member.bucket.serves()) {
        held(pass, app);
    }
}

/// More than wanted: victims go in their order, never below what is wanted.
pub(super) fn extra(pass: &mut Pass<'_>, app: &App, target: &Target, new: &[&Member<'_>]) {
    let wanted = target.wanted as usize;
    let mut extra = new.len().saturating_sub(wanted);
    if extra == 0 {
        return;
    }
    let mut serving = new.iter().filter(|member| takes_traffic(pass, member)).count();
    let mut proven = new.iter().filter(|member| member.instance.proven).count();
    let is_starting = |member: &&&Member<'_>| matches!(member.bucket, Bucket::Starting { .. });
    let mut starting = new.iter().filter(is_starting).count();
    // Successors of those that leave a draining node are no surplus before they take traffic.
    let mut leaving = new.iter().filter(|member| member.leaving && takes_traffic(pass, member)).count();
    for member in victims::order(pass, new) {
        if extra == 0 {
            return;
        }
        let takes = usize::from(takes_traffic(pass, member));
        let may_go = match member.bucket {
            Bucket::Starting { .. } if member.leaving => serving + starting > wanted,
            Bucket::Starting { .. } => (serving + starting).saturating_sub(leaving) > wanted,
            // It is in no route while another one serves; it goes when others have proven themselves in its place.
            Bucket::Sick { .. } => serving > 0 && proven > wanted,
            // While the brake holds, it may serve and is routed to: it goes when as many others take traffic.
            Bucket::Lost => serving >= wanted,
            _ if takes == 0 && !member.leaving => serving - leaving >= wanted,
            _ => serving - takes >= wanted,
        };
        if may_go {
            match member.bucket {
                Bucket::Starting { .. } => starting -= 1,
                Bucket::Sick { .. } | Bucket::Lost => {}
                _ => {
                    serving -= takes;
                    leaving -= if member.leaving { takes } else { 0 };
                }
            }
            proven -= usize::from(member.instance.proven);
            extra -= 1;
            one(pass, member, surplus(member, wanted));
        }
    }
    if extra > 0 {
        held(pass, app);
    }
}

fn surplus(member: &Member<'_>, wanted: usize) -> String {
    match &member.bucket {
        Bucket::Sick { why } => unhealthy(why),
        _ if let Some(to) = member.moves_to => format!("it moves to {to}, where another one serves in its place"),
        _ if member.leaving => format!("{} is being drained, and another one serves in its place", member.instance.node),
        _ if wanted == 1 => "only one instance is wanted".to_owned(),
        _ => format!("only {wanted} instances are wanted"),
    }
}

fn unhealthy(why: &str) -> String {
    format!("it is unhealthy ({why}), and others run in its place")
}

/// A lost node may only be cut off from us: what runs there goes when as many others take traffic as are wanted.
pub(super) fn lost(pass: &mut Pass<'_>, target: &Target, members: &[Member<'_>]) {
    if pass.braked || !members.iter().any(|member| member.bucket == Bucket::Lost) {
        return;
    }
    let wanted = if target.release.is_some() { target.wanted as usize } else { 0 };
    let serving = members.iter().filter(|member| takes_traffic(pass, member)).count();
    for member in members.iter().filter(|member| member.bucket == Bucket::Lost) {
        let instance = member.instance;
        let silent = format!("{} has been silent for too long", instance.node);
        if instance.proven && serving < wanted {
            let why = format!("{silent}; {} is given up when another one serves in its place", instance.id);
            pass.plan.hold(&instance.app, why);
        } else {
            let why = format!("{silent}; {} is given up", instance.id);
            pass.plan.note(Severity::Warning, "instance_lost", About::instance(instance), why.clone());
            one(pass, member, why);
        }
    }
}

fn held(pass: &mut Pass<'_>, app: &App) {
    if !pass.confirmations.any_live() {
        pass.plan.hold(&app.name, "no router answers, so nothing that serves is withdrawn until one confirms the new routes");
    }
}
