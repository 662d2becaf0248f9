//! Releases, with the way back to each; and every change that was asked for.

use axum::extract::Path;
use dinp_client::{Client, PageQuery};
use dinp_common::api::{DeployView, ReleaseView};
use dinp_common::name::AppName;
use maud::{Markup, html};

use super::app;
use crate::live::Seen;
use crate::refusal::Refusal;
use crate::session::Signed;
use crate::view::{deploy, parts, path, status};

/// The newest of each; older releases have no image left to go back to.
const RELEASES: u32 = 25;
const DEPLOYS: u32 = 25;

pub(crate) async fn show(signed: Signed, Path(name): Path<AppName>) -> Result<Markup, Refusal> {
    let detail = app::read(&signed.client, &name).await?;
    let seen = look(&signed.client, &name).await?;
    let body = html! {
        section.panel aria-labelledby="releases-title" {
            header { h2 #releases-title { "Releases" } span.end.muted { "A release is what an instance runs: image, environment, memory, health check." } }
            (seen.part("releases"))
        }
        section.panel aria-labelledby="deploys-title" {
            header { h2 #deploys-title { "Deploys" } span.end.muted { "Every change to the app, newest first." } }
            (seen.part("deploys"))
        }
    };
    Ok(app::page(&detail, &seen, "releases", &format!("/ui/stream?page=releases&app={name}"), &body))
}

pub(crate) async fn look(client: &Client, name: &AppName) -> Result<Seen, Refusal> {
    let detail = app::read(client, name).await?;
    let newest = |limit| PageQuery { limit: Some(limit), ..PageQuery::default() };
    let releases = client.releases(name, &newest(RELEASES)).await?;
    let deploys = client.deploys(name, &newest(DEPLOYS)).await?;
    Ok(Seen {
        title: format!("{} · releases", app::title(&detail)),
        tone: app::tone(&detail),
        parts: vec![
            ("head", app::head(&detail)),
            ("releases", releases_part(name, &releases.items)),
            ("deploys", deploys_part(&deploys.items)),
        ],
    })
}

fn releases_part(app: &AppName, releases: &[ReleaseView]) -> Markup {
    html! {
        @if releases.is_empty() {
            div.empty { p { "No release yet: the first deploy makes one." } }
        } @else {
            div.scroll {
                table.cards {
                    caption.sr { "Releases, newest first" }
                    thead {
                        tr {
                            th scope="col" { "Release" }
                            th scope="col" { "What" }
                            th scope="col" { "Image" }
                            th scope="col" { "Memory" }
                            th scope="col" { span.sr { "Action" } }
                        }
                    }
                    tbody { @for release in releases { (release_row(app, release)) } }
                }
            }
        }
    }
}

fn release_row(app: &AppName, release: &ReleaseView) -> Markup {
    html! {
        tr id={ "r-" (release.number.0) } {
            td data-label="Release" { strong { (release.number) } @if release.live { " " span.tag.ok { "live" } } }
            td data-label="What" {
                div { (release.note) span.sub { (parts::ago(&release.created_at)) " · " (release.author) } }
            }
            td data-label="Image" { div { (parts::image(&release.image)) } }
            td data-label="Memory" { (release.memory) }
            td data-label="" {
                @if release.kept && !release.live {
                    a.button.slim href=(path::rollback(app, release.number)) { "Roll back to " (release.number) }
                } @else if !release.kept {
                    span.muted.small { "image removed" }
                }
            }
        }
    }
}

fn deploys_part(deploys: &[DeployView]) -> Markup {
    html! {
        @if deploys.is_empty() {
            div.empty { p { "No deploy yet." } }
        } @else {
            div.scroll {
                table.cards {
                    caption.sr { "Deploys, newest first" }
                    thead {
                        tr {
                            th scope="col" { "Deploy" }
                            th scope="col" { "State" }
                            th scope="col" { "What" }
                            th scope="col" { "Release" }
                            th.num scope="col" { "Took" }
                        }
                    }
                    tbody { @for each in deploys { (deploy_row(each)) } }
                }
            }
        }
    }
}

fn deploy_row(each: &DeployView) -> Markup {
    html! {
        tr id={ "d-" (each.number.0) } {
            td data-label="Deploy" { a.name href=(path::deploy(&each.app, each.number)) { (each.number) } }
            td data-label="State" { (status::deploy(each)) }
            td data-label="What" {
                div {
                    (each.note)
                    span.sub {
                        @match &each.failure {
                            Some(failure) => { (failure.why) }
                            None if !each.state.is_final() => { (deploy::progress(each)) }
                            None => { (parts::ago(&each.created_at)) " · " (each.author) }
                        }
                    }
                }
            }
            td data-label="Release" { (change(each)) }
            td.num data-label="Took" { (parts::duration(each.spent_ms)) }
        }
    }
}

/// `v1 → v2`, or the one release a change was within.
pub(crate) fn change(deploy: &DeployView) -> String {
    match (deploy.from, deploy.to) {
        (Some(from), Some(to)) if from != to => format!("{from} → {to}"),
        (_, Some(to)) => to.to_string(),
        (Some(from), None) => from.to_string(),
        (None, None) => "–".to_owned(),
    }
}
