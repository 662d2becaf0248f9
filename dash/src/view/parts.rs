//! Small pieces that many pages use.

use dinp_common::api::VersionView;
use dinp_common::digest::Image;
use dinp_common::name::AppName;
use dinp_common::size::human_bytes;
use jiff::Timestamp;
use maud::{Markup, html};

/// "2 min ago", with the exact time for those who point at it.
pub(crate) fn ago(at: &str) -> Markup {
    let words = at.parse::<Timestamp>().map_or_else(|_| at.to_owned(), |then| since(Timestamp::now(), then));
    html! { time datetime=(at) title=(at) data-ago { (words) } }
}

fn since(now: Timestamp, then: Timestamp) -> String {
    match now.duration_since(then).as_secs().max(0) {
        0..5 => "just now".to_owned(),
        seconds @ 5..60 => format!("{seconds} s ago"),
        seconds @ 60..3_600 => format!("{} min ago", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} d ago", seconds / 86_400),
    }
}

/// `0.8 s`, `41 s`, `3 min 5 s`.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..10_000 => format!("{:.1} s", ms as f64 / 1e3),
        10_000..60_000 => format!("{} s", ms / 1_000),
        _ => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
    }
}

pub(crate) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Words that begin a clause and are no name: the API's clauses may begin with an app's or an instance's, which must
/// stay as it is written.
const OPENERS: [&str; 44] = [
    "a", "all", "an", "another", "at", "choose", "deploy", "every", "for", "free", "give", "if", "in", "it", "its", "make", "no",
    "nobody", "none", "nothing", "on", "only", "restart", "rollback", "scale", "see", "send", "set", "stop", "start", "that",
    "the", "there", "these", "this", "to", "try", "use", "wait", "waiting", "when", "while", "with", "write",
];

/// A clause of the API as a sentence of a page.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return String::new() };
    let word = text.split([' ', ',', ':', ';']).next().unwrap_or_default();
    let start: String = if OPENERS.contains(&word) { first.to_uppercase().collect() } else { first.to_string() };
    let end = if text.ends_with(['.', '!', '?', ':', '…']) { "" } else { "." };
    format!("{start}{}{end}", letters.as_str())
}

/// An app's address, to open and to copy.
pub(crate) fn url(url: &str) -> Markup {
    html! {
        span.url {
            a href=(url) target="_blank" rel="noopener" { (url) }
            (copy(url, "Copy the address"))
        }
    }
}

pub(crate) fn copy(text: &str, label: &str) -> Markup {
    html! { button.quiet.slim type="button" data-copy=(text) aria-label=(label) title=(label) { "Copy" } }
}

/// A command line, to copy.
pub(crate) fn command(text: &str) -> Markup {
    html! { span.url { code { (text) } (copy(text, "Copy the command")) } }
}

pub(crate) fn image(image: &Image) -> Markup {
    html! {
        span.mono.wrap-any { (image.name) }
        span.sub.muted.small {
            " " (image.config.short())
            @if image.bytes > 0 { " · " (human_bytes(image.bytes)) }
        }
    }
}

/// Where an app of this name is, or will be, served.
pub(crate) fn app_url(app: &AppName, version: &VersionView) -> String {
    match version.port {
        80 => format!("http://{app}.{}", version.domain),
        port => format!("http://{app}.{}:{port}", version.domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_become_sentences() {
        assert_eq!(sentence("no healthy answer"), "No healthy answer.");
        assert_eq!(sentence("v3 still serves all traffic"), "v3 still serves all traffic.");
        assert_eq!(sentence("Listen on 0.0.0.0."), "Listen on 0.0.0.0.");
        assert_eq!(sentence("shop is stopped"), "shop is stopped.");
        assert_eq!(sentence("the-shop is stopped"), "the-shop is stopped.");
        assert_eq!(sentence(""), "");
    }

    #[test]
    fn times_read_as_people_say_them() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().expect("a time");
        let said = |then: &str| since(now, then.parse().expect("a time"));
        assert_eq!(said("2026-01-01T23:59:58Z"), "just now");
        assert_eq!(said("2026-01-01T23:58:00Z"), "2 min ago");
        assert_eq!(said("2026-01-01T21:00:00Z"), "3 h ago");
        // Another machine's clock may be ahead of ours.
        assert_eq!(said("2026-01-02T00:01:00Z"), "just now");
        assert_eq!((duration(840), duration(185_000)), ("0.8 s".to_owned(), "3 min 5 s".to_owned()));
    }
}
