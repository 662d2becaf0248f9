//! One app at a glance.

use dinp_common::api::{AppDetail, InstanceView};
use dinp_common::deploy::DeployState;

use super::failure::Failure;
use super::output::{Output, ago, maybe, state, state_word, text, wrap};
use super::session::Session;
use super::words;
use crate::args::Named;

pub async fn run(session: &Session, named: Named) -> Result<(), Failure> {
    let chosen = session.named(&named)?;
    let detail = session.client()?.app(&chosen.app).await?;
    session.out.one(&detail, chosen.app.as_str(), |out| print(out, &detail))
}

fn print(out: &Output, detail: &AppDetail) {
    let app = &detail.app;
    out.line(format!("{}  {}", app.name, state_word(app.status.as_str())));
    for line in wrap(&app.reason, "  ") {
        out.line(line);
    }
    let mut facts = vec![("url", app.url.clone())];
    facts.extend(app.release.map(|release| ("release", release.to_string())));
    facts.push(("instances", format!("{} of {} running", app.instances_running, app.instances_wanted)));
    facts.extend(app.memory.map(|memory| ("memory", format!("{memory} each"))));
    if let (Some(health), Some(port)) = (&detail.health, detail.port) {
        facts.push(("health", health.describe(port)));
    }
    facts.extend(words::pace(&detail.pace).map(|pace| ("deploys", pace)));
    facts.extend(detail.image.as_ref().map(|image| ("image", format!("{} ({})", image.name, image.config.short()))));
    for (name, value) in facts {
        out.line(format!("  {name:<10} {value}"));
    }
    last_deploy(out, detail);
    if !detail.instances.is_empty() {
        out.line("");
        instances(out, &detail.instances);
    }
}

fn last_deploy(out: &Output, detail: &AppDetail) {
    let Some(deploy) = &detail.app.last_deploy else { return };
    let ready = if deploy.state == DeployState::Running { format!("  {}", words::ready(deploy)) } else { String::new() };
    let (number, note, when) = (deploy.number, &deploy.note, ago(&deploy.created_at));
    out.line(format!(
        "  {:<10} {number} {}{ready}  {note}, {when} by {}",
        "deploy",
        state_word(deploy.state.as_str()),
        deploy.author
    ));
    let more = match &deploy.failure {
        Some(failure) => failure.why.as_str(),
        None if deploy.state == DeployState::Running => deploy.step.as_str(),
        None => "",
    };
    if !more.is_empty() {
        wrap(more, "             ").iter().for_each(|line| out.line(line));
    }
}

fn instances(out: &Output, instances: &[InstanceView]) {
    let mut headings = vec!["INSTANCE", "STATUS", "RELEASE", "NODE"];
    if out.verbose {
        headings.extend(["ADDRESS", "LAST EXIT"]);
    }
    headings.push("WHY");
    let row = |instance: &InstanceView| {
        let mut row = vec![text(&instance.id), state(instance.status.as_str()), text(instance.release), text(&instance.node)];
        if out.verbose {
            row.push(maybe(instance.address.as_ref()));
            row.push(maybe(instance.last_exit.as_ref().map(|exit| exit.code)));
        }
        row.push(text(&instance.reason));
        row
    };
    out.table(&headings, instances.iter().map(row).collect());
}
