//! What all pages of one app share: reading it, and the head above the tabs.

use dinp_client::{Client, ClientError, PageQuery};
use dinp_common::api::AppDetail;
use dinp_common::app::AppStatus;
use dinp_common::deploy::DeployState;
use dinp_common::name::AppName;
use maud::{Markup, html};

use crate::live::Seen;
use crate::refusal::Refusal;
use crate::view::shell::{self, Page};
use crate::view::status::{self, Tone};
use crate::view::{deploy, instances, parts, path};

/// Names offered in place of one that is not there.
const SUGGESTIONS: usize = 3;

/// Reads an app; where there is none of that name, the refusal holds the names most like it.
pub(crate) async fn read(client: &Client, app: &AppName) -> Result<AppDetail, Refusal> {
    match client.app(app).await {
        Ok(detail) => Ok(detail),
        Err(ClientError::Problem(problem)) if problem.status == 404 => {
            Err(Refusal::NoSuchApp { name: app.to_string(), near: near(client, app.as_str()).await? })
        }
        Err(error) => Err(error.into()),
    }
}

async fn near(client: &Client, name: &str) -> Result<Vec<String>, Refusal> {
    let page = client.apps(&PageQuery { limit: Some(dinp_common::limits::PAGE_ITEMS), ..PageQuery::default() }).await?;
    let mut close: Vec<(usize, String)> = page
        .items
        .iter()
        .map(|app| (distance(name, app.name.as_str()), app.name.to_string()))
        .filter(|(far, other)| {
            *far <= name.len().div_ceil(2).max(2) || other.starts_with(name) || name.starts_with(other.as_str())
        })
        .collect();
    close.sort();
    Ok(close.into_iter().take(SUGGESTIONS).map(|(_, name)| name).collect())
}

/// How many letters must be added, removed or replaced to make one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = corner + usize::from(from != to);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// The live head alone, for pages that have no other live part.
pub(crate) async fn look(client: &Client, app: &AppName, word: &str) -> Result<Seen, Refusal> {
    let detail = read(client, app).await?;
    Ok(Seen { title: format!("{} · {word}", title(&detail)), tone: tone(&detail), parts: vec![("head", head(&detail))] })
}

pub(crate) fn tone(detail: &AppDetail) -> Tone {
    status::of_app(detail.app.status)
}

/// What the browser's tab says: the state first, since that is what people glance at.
pub(crate) fn title(detail: &AppDetail) -> String {
    let app = &detail.app;
    let failed = app.last_deploy.as_ref().is_some_and(|deploy| deploy.state == DeployState::Failed);
    let release = app.release.map(|release| format!("{release} ")).unwrap_or_default();
    match app.status {
        AppStatus::Running if failed => format!("✗ deploy failed – {}", app.name),
        AppStatus::Running => format!("✓ {release}live – {}", app.name),
        AppStatus::Deploying if app.last_deploy.as_ref().is_some_and(|deploy| deploy.paused.is_some()) => {
            format!("‖ paused – {}", app.name)
        }
        AppStatus::Deploying => format!("⟳ deploying – {}", app.name),
        AppStatus::Degraded => format!("! degraded – {}", app.name),
        AppStatus::Down => format!("✗ down – {}", app.name),
        AppStatus::Stopped => format!("○ stopped – {}", app.name),
    }
}

/// Name, status, address, and what can be done at once.
pub(crate) fn head(detail: &AppDetail) -> Markup {
    let app = &detail.app;
    html! {
        div.head {
            h1 { (app.name) }
            (status::app(app.status))
            span.muted { (instances::count(app.instances_running, app.instances_wanted)) }
            (parts::url(&app.url))
            div.actions { (actions(detail)) }
        }
    }
}

fn actions(detail: &AppDetail) -> Markup {
    let app = &detail.app;
    let post = |verb: &str| format!("{}/{verb}", path::app(&app.name));
    html! {
        @if app.stopped {
            form method="post" action=(post("start")) { button.primary type="submit" { "Start" } }
        } @else if app.release.is_some() {
            form method="post" action=(post("restart")) { button type="submit" { "Restart" } }
        }
    }
}

/// The news above an app's page: a deploy under way, one that failed, or why the app is not well.
pub(crate) fn news(detail: &AppDetail) -> Markup {
    let app = &detail.app;
    let troubled = matches!(app.status, AppStatus::Down | AppStatus::Degraded);
    html! {
        @if let Some(last) = &app.last_deploy { (deploy::banner(last)) }
        @if troubled && !app.reason.is_empty() {
            div.callout class=(status::of_app(app.status).class()) {
                p { strong { (app.status) ": " } (parts::sentence(&app.reason)) }
                div.row {
                    a href=(path::tab(&app.name, "logs")) { "Logs" }
                    a href=(path::tab(&app.name, "events")) { "Events" }
                }
            }
        }
    }
}

/// A page of an app: crumbs, head, tabs, and `body` below.
pub(crate) fn page(detail: &AppDetail, seen: &Seen, tab: &str, stream: &str, body: &Markup) -> Markup {
    let app = &detail.app.name;
    shell::page(&Page {
        title: &seen.title,
        tone: seen.tone,
        stream: Some(stream.to_owned()),
        signed: true,
        main: html! {
            div {
                (shell::crumbs(&[("/apps", "Apps"), (&path::app(app), app.as_str())]))
                (seen.part("head"))
            }
            (shell::tabs(app, tab))
            (body)
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_far_apart_as_their_letters() {
        assert_eq!(distance("shop", "shop"), 0);
        assert_eq!(distance("shp", "shop"), 1);
        assert_eq!(distance("shop", "stop"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
