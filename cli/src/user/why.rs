//! What is wrong with an app, in sentences.

use dinp_common::api::{WhyInstance, WhyView};
use dinp_common::deploy::Failure as DeployFailure;
use dinp_common::event::Event;
use owo_colors::OwoColorize;

use super::failure::Failure;
use super::output::{Output, ago, state_word, wrap};
use super::session::Session;
use crate::args::Named;

/// Lines of a dead instance's output, without -v.
const OUTPUT_LINES: usize = 10;
/// Events, without -v.
const EVENTS: usize = 5;

pub async fn run(session: &Session, named: Named) -> Result<(), Failure> {
    let chosen = session.named(&named)?;
    let why = session.client()?.why(&chosen.app).await?;
    session.out.one(&why, chosen.app.as_str(), |out| print(out, &why))
}

fn print(out: &Output, why: &WhyView) {
    out.line(format!("{}  {}", why.app, state_word(why.status.as_str())));
    for sentence in &why.sentences {
        say(out, sentence, "  ");
    }
    if !why.instances.is_empty() {
        heading(out, "Instances");
        why.instances.iter().for_each(|instance| instance_of(out, instance));
    }
    if let Some(failure) = &why.failure {
        heading(out, "The last deploy failed");
        last_failure(out, failure);
    }
    if !why.events.is_empty() {
        heading(out, "What happened, newest first");
        let shown = if out.verbose { why.events.len() } else { EVENTS };
        why.events.iter().take(shown).for_each(|event| event_of(out, event));
    }
}

fn instance_of(out: &Output, instance: &WhyInstance) {
    out.line(format!("  {}  {}", instance.id, state_word(instance.status.as_str())));
    say(out, &instance.text, "    ");
    if let Some(output) = &instance.output {
        quote(out, output);
    }
}

fn last_failure(out: &Output, failure: &DeployFailure) {
    say(out, &failure.why, "  ");
    for (label, text) in [("now:", &failure.now), ("try:", &failure.fix)] {
        let mut lines = wrap(text, "        ").into_iter();
        if let Some(first) = lines.next() {
            out.line(format!("  {label}  {}", first.trim_start()));
            lines.for_each(|line| out.line(line));
        }
    }
    if let Some(output) = &failure.output {
        quote(out, output);
    }
}

fn event_of(out: &Output, event: &Event) {
    let when = ago(&event.at);
    let mut lines = wrap(&event.text, "                ").into_iter();
    if let Some(first) = lines.next() {
        out.line(format!("  {when:<12}  {}", first.trim_start()));
        lines.for_each(|line| out.line(line));
    }
}

fn heading(out: &Output, text: &str) {
    out.line("");
    out.line(text.bold().to_string());
}

fn say(out: &Output, text: &str, indent: &str) {
    wrap(text, indent).iter().for_each(|line| out.line(line));
}

/// The last lines an instance wrote, as it wrote them.
fn quote(out: &Output, output: &str) {
    let lines: Vec<&str> = output.lines().collect();
    let skip = if out.verbose { 0 } else { lines.len().saturating_sub(OUTPUT_LINES) };
    for line in &lines[skip..] {
        out.line(format!("    {}", format!("| {line}").dimmed()));
    }
}
