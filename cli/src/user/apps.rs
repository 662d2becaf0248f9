//! Lists of apps and of releases.

use dinp_client::{ClientError, PageQuery};
use dinp_common::api::{AppView, Page, ReleaseView};
use dinp_common::limits::PAGE_ITEMS;

use super::failure::Failure;
use super::output::{ago, maybe, state, text};
use super::session::Session;
use super::words;
use crate::args::Named;

pub async fn list(session: &Session) -> Result<(), Failure> {
    let client = session.client()?;
    let apps = every_page(async |query| client.apps(&query).await).await?;
    session.out.list(
        &apps,
        |app| app.name.to_string(),
        |apps| {
            if apps.is_empty() {
                return session.out.say(words::NO_APPS);
            }
            let mut headings = vec!["NAME", "STATUS", "INSTANCES", "RELEASE", "MEMORY", "URL"];
            if session.out.verbose {
                headings.extend(["CREATED", "WHY"]);
            }
            session.out.table(&headings, apps.iter().map(|app| row(app, session.out.verbose)).collect());
        },
    )
}

fn row(app: &AppView, verbose: bool) -> Vec<comfy_table::Cell> {
    let mut row = vec![
        text(&app.name),
        state(app.status.as_str()),
        text(format!("{}/{}", app.instances_running, app.instances_wanted)),
        maybe(app.release),
        maybe(app.memory),
        text(&app.url),
    ];
    if verbose {
        row.extend([text(ago(&app.created_at)), text(&app.reason)]);
    }
    row
}

pub async fn releases(session: &Session, named: Named) -> Result<(), Failure> {
    let chosen = session.named(&named)?;
    let client = session.client()?;
    let releases = every_page(async |query| client.releases(&chosen.app, &query).await).await?;
    session.out.list(
        &releases,
        |release| release.number.to_string(),
        |releases| {
            if releases.is_empty() {
                return session.out.say(words::NOTHING_YET);
            }
            let rows = releases.iter().map(release_row).collect();
            session.out.table(&["RELEASE", "STATE", "CREATED", "BY", "MEMORY", "IMAGE", "WHAT"], rows);
        },
    )
}

fn release_row(release: &ReleaseView) -> Vec<comfy_table::Cell> {
    let word = match (release.live, release.kept) {
        (true, _) => state("live"),
        (false, true) => text("kept"),
        (false, false) => text("image gone"),
    };
    vec![
        text(release.number),
        word,
        text(ago(&release.created_at)),
        text(&release.author),
        text(release.memory),
        text(release.image.config.short()),
        text(&release.note),
    ]
}

/// Follows a list to its end.
async fn every_page<T>(fetch: impl AsyncFn(PageQuery) -> Result<Page<T>, ClientError>) -> Result<Vec<T>, Failure> {
    let mut items = Vec::new();
    let mut cursor = None;
    loop {
        let page = fetch(PageQuery { limit: Some(PAGE_ITEMS), cursor, q: None }).await?;
        items.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(items),
        }
    }
}
