//! Logs: to standard error, for people on a terminal, as JSON where `DINP_LOG_FORMAT=json`. Where the journal reads it,
//! each line says how urgent it is, so that `journalctl -p warning` finds what is.

use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// How lines are written.
#[derive(Debug, Clone, Copy)]
struct Style {
    json: bool,
    colour: bool,
    /// The journal reads them.
    urgency: bool,
}

/// Starts logging for this process. `RUST_LOG` chooses what is logged; `info` where it says nothing.
pub fn init(process: &'static str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let style = Style {
        json: std::env::var("DINP_LOG_FORMAT").is_ok_and(|format| format == "json"),
        colour: std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none(),
        urgency: journal_reads(),
    };
    let registry = tracing_subscriber::registry().with(filter).with(layer(style, std::io::stderr));
    // A second call, as tests make, keeps the first subscriber.
    if registry.try_init().is_ok() {
        tracing::debug!(process, "logging started");
    }
}

/// What the last words of a process begin with on standard error: how urgent they are, where the journal reads them.
pub fn last_words() -> String {
    if journal_reads() { urgency(Level::ERROR).to_string() } else { String::new() }
}

fn layer<S, W>(style: Style, writer: W) -> Box<dyn tracing_subscriber::Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_target(false);
    let urgent = style.urgency;
    match style.json {
        true => layer.json().map_event_format(|format| Urgent { urgent, format }).boxed(),
        false => layer.with_ansi(style.colour).map_event_format(|format| Urgent { urgent, format }).boxed(),
    }
}

/// Whether standard error is the journal's. systemd says which stream it gave, and a redirected one is another
/// (systemd.exec(5), `JOURNAL_STREAM`).
fn journal_reads() -> bool {
    let Ok(given) = std::env::var("JOURNAL_STREAM") else { return false };
    let stream = std::io::stderr().as_fd().try_clone_to_owned().map(std::fs::File::from);
    stream.and_then(|stream| stream.metadata()).is_ok_and(|is| given == format!("{}:{}", is.dev(), is.ino()))
}

/// A level as the journal's prefix (sd-daemon(3)).
fn urgency(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

struct Urgent<F> {
    urgent: bool,
    format: F,
}

impl<S, N, F> FormatEvent<S, N> for Urgent<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'fields> FormatFields<'fields> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        if self.urgent {
            writer.write_str(urgency(*event.metadata().level()))?;
        }
        self.format.format_event(context, writer, event)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("the text").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged, in both formats.
    fn logged(urgency: bool, log: impl Fn()) -> [String; 2] {
        [false, true].map(|json| {
            let text = Text::default();
            let (style, writer) = (Style { json, colour: false, urgency }, text.clone());
            let subscriber = tracing_subscriber::registry().with(layer(style, move || writer.clone()));
            tracing::subscriber::with_default(subscriber, &log);
            let bytes = text.0.lock().expect("the text").clone();
            String::from_utf8(bytes).expect("UTF-8")
        })
    }

    #[test]
    fn the_journal_is_told_how_urgent_each_line_is() {
        let log = || {
            tracing::error!("a");
            tracing::warn!("b");
            tracing::info!("c");
            tracing::debug!("d");
        };
        for text in logged(true, log) {
            let starts: Vec<&str> = text.lines().map(|line| &line[..3]).collect();
            assert_eq!(starts, ["<3>", "<4>", "<6>", "<7>"], "{text}");
        }
        for text in logged(false, log) {
            assert!(text.lines().count() == 4 && !text.contains('<'), "{text}");
        }
    }
}
