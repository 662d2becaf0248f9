//! Instances as tiles.

use dinp_common::api::InstanceView;
use dinp_common::instance::InstanceStatus;
use dinp_common::release::RunSpec;
use dinp_common::size::MiB;
use maud::{Markup, html};

use super::status::{self, Tone};
use super::{parts, path};

/// Tiles on a page; an app may have more instances than anyone reads.
const TILES: usize = 120;
/// Lines of a dead instance's last output that fit a tile.
const LAST_LINES: usize = 4;

/// Every instance that is not over, in the order of their index, the newest release first.
pub(crate) fn tiles(instances: &[InstanceView], memory: Option<MiB>) -> Markup {
    let mut shown: Vec<&InstanceView> = instances.iter().filter(|instance| instance.status != InstanceStatus::Stopped).collect();
    shown.sort_by_key(|instance| (std::cmp::Reverse(instance.release), instance.index, instance.id.clone()));
    html! {
        ul.tiles {
            @for instance in shown.iter().take(TILES) { (tile(instance, memory)) }
        }
        @if shown.len() > TILES { p.muted { "and " (shown.len() - TILES) " more" } }
    }
}

fn tile(instance: &InstanceView, memory: Option<MiB>) -> Markup {
    let tone = status::of_instance(instance.status);
    let edge = match tone {
        Tone::Warn | Tone::Bad => tone.class(),
        Tone::Ok | Tone::Busy | Tone::Idle => "",
    };
    html! {
        li.tile class=(edge) id={ "i-" (instance.id) } data-status=(instance.status) {
            div.row {
                span.id { (instance.id) }
                (status::instance(instance.status))
            }
            p {
                (instance.release) " on " (instance.node) " · "
                a href=(path::logs_of(&instance.app, instance.id.as_str())) aria-label={ "Logs of " (instance.id) } { "logs" }
            }
            @if !instance.reason.is_empty() { p { (instance.reason) } }
            @if let Some(exit) = &instance.last_exit {
                p { "Last exit: " (exit.describe(memory.unwrap_or(RunSpec::DEFAULT_MEMORY))) }
                @let lines = exit.tail(LAST_LINES).collect::<Vec<_>>().join("\n");
                @if !lines.is_empty() { pre.output tabindex="0" aria-label="Last output" { (lines) } }
            }
        }
    }
}

/// `2 of 3 running`.
pub(crate) fn count(running: u32, wanted: u32) -> String {
    match (running, wanted) {
        (0, 0) => "none wanted".to_owned(),
        (running, wanted) => format!("{running} of {} running", parts::plural(u64::from(wanted), "instance", "instances")),
    }
}
