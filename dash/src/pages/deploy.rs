//! One deploy, from the file to the routes, as it goes.

use axum::extract::Path;
use dinp_client::Client;
use dinp_common::api::{AppDetail, DeployView, InstanceView};
use dinp_common::deploy::{DeployKind, DeployNo, DeployState, Strategy};
use dinp_common::name::AppName;
use maud::{Markup, html};

use super::{app, releases};
use crate::live::Seen;
use crate::refusal::Refusal;
use crate::session::Signed;
use crate::view::shell::{self, Page};
use crate::view::{deploy as view, instances, logs, parts, path, status};

pub(crate) async fn show(signed: Signed, Path((name, number)): Path<(AppName, DeployNo)>) -> Result<Markup, Refusal> {
    let detail = app::read(&signed.client, &name).await?;
    let deploy = signed.client.deploy(&name, number).await?;
    let seen = seen(&detail, &deploy);
    Ok(shell::page(&Page {
        title: &seen.title,
        tone: seen.tone,
        stream: Some(format!("/ui/stream?page=deploy&app={name}&number={}", number.0)),
        signed: true,
        main: html! {
            div {
                (shell::crumbs(&[("/apps", "Apps"), (&path::app(&name), name.as_str()), (&path::deploy(&name, number), &format!("Deploy {number}"))]))
                (seen.part("deploy"))
            }
            (seen.part("outcome"))
            section.panel aria-labelledby="steps-title" {
                header { h2 #steps-title { "Progress" } }
                div.body.stack { (seen.part("steps")) (seen.part("rollout")) }
            }
            @if let Some(build) = &deploy.build {
                section.panel aria-labelledby="build-title" {
                    header { h2 #build-title { "Build " (build.id) } }
                    div.body { (seen.part("build")) }
                    (logs::of_build(build.id))
                }
            }
        },
    }))
}

pub(crate) async fn look(client: &Client, name: &AppName, number: DeployNo) -> Result<Seen, Refusal> {
    let detail = app::read(client, name).await?;
    let deploy = client.deploy(name, number).await?;
    Ok(seen(&detail, &deploy))
}

fn seen(detail: &AppDetail, deploy: &DeployView) -> Seen {
    let current: Vec<InstanceView> =
        detail.instances.iter().filter(|instance| Some(instance.release) == deploy.to).cloned().collect();
    Seen {
        title: title(deploy),
        tone: status::of_deploy(deploy.state),
        parts: vec![
            ("deploy", head(deploy)),
            ("outcome", outcome(deploy)),
            ("steps", view::stepper(deploy, &current)),
            ("rollout", rollout(detail, deploy, &current)),
            ("build", view::build_facts(deploy)),
        ],
    }
}

fn title(deploy: &DeployView) -> String {
    let app = &deploy.app;
    match (deploy.state, deploy.to) {
        (DeployState::Running, _) if deploy.paused.is_some() => format!("‖ paused – {app}"),
        (DeployState::Running, _) => format!("⟳ deploying – {app}"),
        (DeployState::Succeeded, Some(to)) => format!("✓ {to} live – {app}"),
        (DeployState::Succeeded, None) => format!("✓ done – {app}"),
        (DeployState::Failed, _) => format!("✗ deploy failed – {app}"),
        (DeployState::Cancelled, _) => format!("Deploy cancelled – {app}"),
        (DeployState::Superseded, _) => format!("Deploy superseded – {app}"),
    }
}

fn head(deploy: &DeployView) -> Markup {
    html! {
        div.head {
            h1 { "Deploy " (deploy.number) " of " (deploy.app) }
            (status::deploy(deploy))
            span.muted {
                @if deploy.from.is_some() || deploy.to.is_some() { (releases::change(deploy)) " · " }
                (parts::duration(deploy.spent_ms))
            }
            @if deploy.state == DeployState::Running && deploy.kind != DeployKind::Delete { div.actions { (holds(deploy)) } }
        }
        p.lede { (deploy.note) " · " (deploy.author) " · " (parts::ago(&deploy.created_at)) }
    }
}

/// What can be done about a deploy that is under way.
fn holds(deploy: &DeployView) -> Markup {
    let post = |verb: &str| format!("{}/{verb}", path::deploy(&deploy.app, deploy.number));
    let can_pause = deploy.strategy == Strategy::Rolling && deploy.kind != DeployKind::Stop;
    html! {
        @if deploy.paused.is_some() {
            form method="post" action=(post("resume")) { button.primary type="submit" { "Resume" } }
        } @else if can_pause {
            form method="post" action=(post("pause")) { button type="submit" { "Pause" } }
        }
        form method="post" action=(post("cancel")) { button type="submit" { "Cancel deploy" } }
    }
}

fn outcome(deploy: &DeployView) -> Markup {
    html! {
        @match deploy.state {
            DeployState::Running => {}
            DeployState::Failed => {
                @match &deploy.failure {
                    Some(failure) => { (view::failure(failure)) }
                    None => { div.callout.bad { p { (deploy.step) } } }
                }
            }
            DeployState::Succeeded => { (success(deploy)) }
            DeployState::Cancelled => { div.callout { p { (parts::sentence(&deploy.step)) } } }
            DeployState::Superseded => { div.callout { p { "A newer change replaced this one before it was done. " (deploy.step) } } }
        }
    }
}

fn success(deploy: &DeployView) -> Markup {
    let file = deploy.build.as_ref().map(|build| build.file_name.as_str());
    html! {
        div.callout.ok {
            @match deploy.kind {
                DeployKind::Stop => { p { strong { (deploy.app) " is stopped." } " Name, releases and environment are kept." } }
                DeployKind::Delete => { p { strong { (deploy.app) " is deleted." } } }
                DeployKind::Release | DeployKind::Scale | DeployKind::Restart | DeployKind::Rollback | DeployKind::Start => {
                    h2 { (deploy.app) " is live at " a href=(deploy.url) target="_blank" rel="noopener" { (deploy.url) } }
                    div.row {
                        a.button.primary href=(deploy.url) target="_blank" rel="noopener" { "Open" }
                        button type="button" data-copy=(deploy.url) aria-label="Copy the address" { "Copy" }
                        a.button href=(path::app(&deploy.app)) { "Go to " (deploy.app) }
                    }
                    @if let Some(file) = file {
                        p.small { "Next time from a terminal: " (parts::command(&format!("dinp deploy {file} -a {}", deploy.app))) }
                    }
                }
            }
            @if deploy.draining > 0 {
                p.small { (parts::plural(u64::from(deploy.draining), "old instance finishes", "old instances finish")) " what is in flight." }
            }
        }
    }
}

fn rollout(detail: &AppDetail, deploy: &DeployView, current: &[InstanceView]) -> Markup {
    html! {
        @if !current.is_empty() && deploy.kind != DeployKind::Stop {
            (instances::tiles(current, detail.app.memory))
        } @else if deploy.state == DeployState::Running && deploy.to.is_none() {
            p.muted { "Instances start when the build is done. " @if let Some(from) = deploy.from { (from) " serves meanwhile." } }
        }
    }
}
