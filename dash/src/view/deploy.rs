//! A deploy: where it is, how it ended, and why.

use dinp_common::api::{DeployView, InstanceView};
use dinp_common::build::BuildState;
use dinp_common::deploy::{Cause, DeployKind, DeployPhase, DeployState, Failure};
use dinp_common::instance::InstanceStatus;
use dinp_common::size::human_bytes;
use maud::{Markup, html};

use super::{parts, path, status};

/// How one step of a deploy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Waiting,
    Active,
    Done,
    Failed,
}

struct Step {
    word: &'static str,
    stand: Stand,
    note: String,
}

/// The steps of a deploy that brings instances up; a stop or a delete has none.
fn steps(deploy: &DeployView, instances: &[InstanceView]) -> Vec<Step> {
    if matches!(deploy.kind, DeployKind::Stop | DeployKind::Delete) {
        return Vec::new();
    }
    let started = started(deploy, instances);
    // What a deploy of long ago wanted is not known any more.
    let of = |n: u32| if deploy.wanted == 0 { String::new() } else { format!("{} of {}", n.min(deploy.wanted), deploy.wanted) };
    let building = deploy.phase == DeployPhase::Build;
    let succeeded = deploy.state == DeployState::Succeeded;
    let mut done = [!building, !building && started >= deploy.wanted, !building && deploy.ready >= deploy.wanted, succeeded];
    if succeeded {
        done.fill(true);
    }
    let notes = [build_note(deploy), of(started), of(deploy.ready), String::new()];
    let words = ["Build", "Start", "Healthy", "Routed"];
    let skip = usize::from(deploy.build.is_none());
    let failed = deploy.failure.as_ref().and_then(|failure| failed_step(failure.cause));
    let reached = done.iter().position(|done| !done).unwrap_or(words.len());
    let current = failed.unwrap_or(reached).max(skip);
    let at = |n: usize| match (done[n], n == current, deploy.state) {
        (_, true, DeployState::Failed) => Stand::Failed,
        (true, _, _) => Stand::Done,
        (_, true, DeployState::Running) => Stand::Active,
        _ if n < current && failed.is_some() => Stand::Done,
        _ => Stand::Waiting,
    };
    // After a failure the instances are gone, so only the step that failed has a count; the kind stays known.
    let says = |n: usize| at(n) != Stand::Waiting && (n == 0 || at(n) == Stand::Failed || deploy.state != DeployState::Failed);
    let step = |n: usize, note: String| Step { word: words[n], stand: at(n), note: if says(n) { note } else { String::new() } };
    notes.into_iter().enumerate().skip(skip).map(|(n, note)| step(n, note)).collect()
}

/// The step at which a cause ends a deploy; a deadline can strike anywhere.
fn failed_step(cause: Cause) -> Option<usize> {
    match cause {
        Cause::BuildFailed => Some(0),
        Cause::ImageMissing | Cause::CrashedOnStart | Cause::NoRoom | Cause::StartFailed => Some(1),
        Cause::NeverHealthy | Cause::WrongAddress => Some(2),
        Cause::NotRouted => Some(3),
        Cause::Deadline => None,
    }
}

/// Instances of the new release whose container runs.
fn started(deploy: &DeployView, instances: &[InstanceView]) -> u32 {
    let runs = |instance: &&InstanceView| {
        Some(instance.release) == deploy.to
            && matches!(instance.status, InstanceStatus::Starting | InstanceStatus::Running | InstanceStatus::Unhealthy)
    };
    let seen = instances.iter().filter(runs).count();
    u32::try_from(seen).unwrap_or(u32::MAX).max(deploy.ready)
}

fn build_note(deploy: &DeployView) -> String {
    let Some(build) = &deploy.build else { return String::new() };
    match (build.state, build.kind) {
        (BuildState::Queued, _) => "waits for a builder".to_owned(),
        (_, Some(kind)) => kind.describe().to_owned(),
        (_, None) => "looking at the file".to_owned(),
    }
}

pub(crate) fn stepper(deploy: &DeployView, instances: &[InstanceView]) -> Markup {
    let steps = steps(deploy, instances);
    html! {
        @if !steps.is_empty() {
            ol.steps aria-label="Steps" {
                @for step in steps {
                    @let (class, word) = match step.stand {
                        Stand::Waiting => ("", "not yet"),
                        Stand::Active => ("active", "under way"),
                        Stand::Done => ("done", "done"),
                        Stand::Failed => ("failed", "failed"),
                    };
                    li class=(class) data-step=(step.word) {
                        b { (step.word) span.sr { ": " (word) } }
                        span { (step.note) }
                    }
                }
            }
        }
        @if deploy.state == DeployState::Running && !deploy.step.is_empty() {
            p.lede { (parts::sentence(&deploy.step)) }
        }
    }
}

/// Why it failed, what still works, what to do.
pub(crate) fn failure(failure: &Failure) -> Markup {
    html! {
        div.callout.bad {
            h2 { (headline(failure.cause)) }
            dl.why {
                dt { "Why" } dd { (parts::sentence(&failure.why)) }
                @if !failure.now.is_empty() { dt { "Now" } dd { (parts::sentence(&failure.now)) } }
                @if !failure.fix.is_empty() { dt { "Try" } dd { (parts::sentence(&failure.fix)) } }
            }
            @if let Some(output) = failure.output.as_deref().filter(|output| !output.trim().is_empty()) {
                pre.output tabindex="0" aria-label="Last output" { (output) }
            }
        }
    }
}

fn headline(cause: Cause) -> &'static str {
    match cause {
        Cause::BuildFailed => "The build failed",
        Cause::ImageMissing => "The image is not there",
        Cause::CrashedOnStart => "It crashed on start",
        Cause::NeverHealthy => "It never became healthy",
        Cause::WrongAddress => "It listens on the wrong address",
        Cause::NoRoom => "There is no room for it",
        Cause::StartFailed => "It could not be started",
        Cause::NotRouted => "It could not be put into the routes",
        Cause::Deadline => "It took too long",
    }
}

/// What the file was taken for.
pub(crate) fn build_facts(deploy: &DeployView) -> Markup {
    html! {
        @if let Some(build) = &deploy.build {
            dl.facts {
                dt { "File" } dd { (build.file_name) " · " (human_bytes(build.artifact_bytes)) }
                dt { "Kind" }
                dd {
                    @match build.kind {
                        Some(kind) => { strong data-kind=(kind) { (kind.describe()) } }
                        None => { span.muted { "not known yet" } }
                    }
                }
                @if let Some(image) = &build.image { dt { "Image" } dd { (parts::image(image)) } }
            }
            @if let Some(text) = &build.dockerfile {
                details {
                    summary.small { "The Dockerfile that makes the same image" }
                    pre.output tabindex="0" { (text) }
                }
            }
        }
    }
}

/// The deploy at the top of its app's pages, while it is news.
pub(crate) fn banner(deploy: &DeployView) -> Markup {
    let href = path::deploy(&deploy.app, deploy.number);
    html! {
        @match deploy.state {
            DeployState::Running => {
                div.callout {
                    div.row {
                        (status::under_way(deploy, "Deploying"))
                        span { (deploy.note) " · " (progress(deploy)) }
                        a href=(href) { "Follow deploy " (deploy.number) }
                    }
                }
            }
            DeployState::Failed => {
                div.callout.bad {
                    div.row {
                        (status::badge(status::Tone::Bad, "Last deploy failed"))
                        span { @if let Some(failure) = &deploy.failure { (parts::sentence(&failure.why)) " " span.muted { (parts::sentence(&failure.now)) } } @else { (deploy.note) } }
                        a href=(href) { "What happened" }
                    }
                }
            }
            DeployState::Succeeded | DeployState::Cancelled | DeployState::Superseded => {}
        }
    }
}

/// Where a running deploy is, in a clause.
pub(crate) fn progress(deploy: &DeployView) -> String {
    match deploy.phase {
        _ if !deploy.step.is_empty() => deploy.step.clone(),
        DeployPhase::Build => "building".to_owned(),
        DeployPhase::Rollout => format!("{} of {} ready", deploy.ready, deploy.wanted),
    }
}

#[cfg(test)]
mod tests;
