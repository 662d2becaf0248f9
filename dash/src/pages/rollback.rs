//! Before going back: what the new release will be, and how it differs from the one that serves.

use std::collections::BTreeSet;

use axum::extract::Path;
use dinp_client::PageQuery;
use dinp_common::api::ReleaseView;
use dinp_common::limits::PAGE_ITEMS;
use dinp_common::name::AppName;
use dinp_common::problem::Problem;
use dinp_common::release::ReleaseNo;
use maud::{Markup, html};

use super::app;
use crate::refusal::Refusal;
use crate::session::Signed;
use crate::view::{parts, path};

pub(crate) async fn show(signed: Signed, Path((name, to)): Path<(AppName, ReleaseNo)>) -> Result<Markup, Refusal> {
    let detail = app::read(&signed.client, &name).await?;
    let all = signed.client.releases(&name, &PageQuery { limit: Some(PAGE_ITEMS), ..PageQuery::default() }).await?;
    let find = |wanted: &dyn Fn(&ReleaseView) -> bool| all.items.iter().find(|release| wanted(release));
    let no_release = || Problem::new(404, "release_not_found", format!("{name} has no release {to}."));
    let target = find(&|release| release.number == to).ok_or_else(no_release)?;
    let live = find(&|release| release.live);
    let seen = app::look(&signed.client, &name, "rollback").await?;
    let body = html! {
        section.panel.page-narrow aria-labelledby="back-title" {
            header { h2 #back-title { "Roll back to " (to) } }
            div.body.stack {
                p { "A new release is made, the same as " strong { (to) } " (" (target.note) "). It replaces the one that serves without a gap; " (parts::plural(u64::from(detail.app.instances_wanted), "instance stays", "instances stay")) " wanted." }
                @match live {
                    Some(live) => { (differences(live, target)) }
                    None => { p.muted { "Nothing serves now, so there is nothing to compare with." } }
                }
                @if target.kept {
                    form.row method="post" action=(path::rollback(&name, to)) {
                        button.primary type="submit" { "Roll back to " (to) }
                        a.button href=(path::tab(&name, "releases")) { "Cancel" }
                    }
                } @else {
                    div.callout.warn { p { "The image of " (to) " is no longer kept, so it cannot run again. Deploy its artifact instead." } }
                    p { a.button href=(path::tab(&name, "releases")) { "Back" } }
                }
            }
        }
    };
    Ok(app::page(&detail, &seen, "releases", &format!("/ui/stream?page=rollback&app={name}"), &body))
}

fn differences(live: &ReleaseView, target: &ReleaseView) -> Markup {
    let rows = compare(live, target);
    html! {
        @if rows.is_empty() {
            p { strong { "No difference" } " that is shown here: image, memory, port, health check and the names of variables are equal to " (live.number) "'s." }
        } @else {
            div.scroll {
                table.diff {
                    caption.sr { "What changes" }
                    thead { tr { th scope="col" { "" span.sr { "What" } } th scope="col" { "now, " (live.number) } th scope="col" { "after" } } }
                    tbody {
                        @for (what, before, after) in rows {
                            tr { th scope="row" { (what) } td { del { (before) } } td { ins { (after) } } }
                        }
                    }
                }
            }
        }
        p.small.muted { "Variables that both have take the values of " (target.number) "." }
    }
}

/// What differs, as (what, now, after).
fn compare(live: &ReleaseView, target: &ReleaseView) -> Vec<(String, String, String)> {
    let mut rows = Vec::new();
    let mut row = |what: &str, before: String, after: String| {
        if before != after {
            rows.push((what.to_owned(), before, after));
        }
    };
    let image = |release: &ReleaseView| format!("{} ({})", release.image.name, release.image.config.short());
    row("Image", image(live), image(target));
    row("Memory", live.memory.to_string(), target.memory.to_string());
    row("Port", live.port.to_string(), target.port.to_string());
    row("Health check", live.health.describe(live.port), target.health.describe(target.port));
    let names = |release: &ReleaseView| release.env.iter().cloned().collect::<BTreeSet<String>>();
    let (now, then) = (names(live), names(target));
    for gone in now.difference(&then) {
        row(gone, "set".to_owned(), "not set".to_owned());
    }
    for new in then.difference(&now) {
        row(new, "not set".to_owned(), "set".to_owned());
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use dinp_common::digest::{Digest, Image};
    use dinp_common::health::HealthCheck;
    use dinp_common::size::MiB;

    fn release(number: u32, env: &[&str]) -> ReleaseView {
        let number_byte = u8::try_from(number).expect("a small number");
        ReleaseView {
            number: ReleaseNo(number),
            note: String::new(),
            author: String::new(),
            created_at: String::new(),
            image: Image {
                config: Digest::from_sha256([number_byte; 32]),
                manifest: None,
                name: "default/shop".into(),
                bytes: 0,
            },
            build: None,
            memory: MiB(256),
            cpu: None,
            placement: Default::default(),
            port: 8080,
            health: HealthCheck::Tcp,
            env: env.iter().map(|key| (*key).to_owned()).collect(),
            live: false,
            kept: true,
        }
    }

    #[test]
    fn only_what_differs_is_listed() {
        assert_eq!(compare(&release(1, &["A"]), &release(1, &["A"])), []);
        let rows = compare(&release(2, &["A", "B"]), &release(1, &["A", "C"]));
        let names: Vec<&str> = rows.iter().map(|(what, ..)| what.as_str()).collect();
        assert_eq!(names, ["Image", "B", "C"]);
        assert_eq!((rows[1].1.as_str(), rows[1].2.as_str()), ("set", "not set"));
    }
}
