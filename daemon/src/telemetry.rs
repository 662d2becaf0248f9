//! Logs: to standard error, for people on a terminal, as JSON where `DINP_LOG_FORMAT=json`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;

/// Starts logging for this process. `RUST_LOG` chooses what is logged; `info` where it says nothing.
pub fn init(process: &'static str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let json = std::env::var("DINP_LOG_FORMAT").is_ok_and(|format| format == "json");
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    // A second call, as tests make, keeps the first subscriber.
    let result = if json { registry.with(layer.json()).try_init() } else { registry.with(layer.with_ansi(colour)).try_init() };
    if result.is_ok() {
        tracing::debug!(process, "logging started");
    }
}
