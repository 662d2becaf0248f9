//! The few drawings there are. Each stands beside words, so none is read aloud.

use maud::{Markup, PreEscaped};

pub(crate) fn brand() -> Markup {
    PreEscaped(
        r#"<svg viewBox="0 0 24 24" aria-hidden="true"><path fill="currentColor" d="M12 1.5 22.5 12 12 22.5 1.5 12z" opacity=".28"/><path fill="currentColor" d="M12 7l5 5-5 5-5-5z"/></svg>"#
            .to_owned(),
    )
}

pub(crate) fn upload() -> Markup {
    PreEscaped(
        r#"<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"><path d="M12 16V4m0 0L7.5 8.5M12 4l4.5 4.5M4 15v3.5A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5V15"/></svg>"#
            .to_owned(),
    )
}
