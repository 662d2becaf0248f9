//! An app or the dashboard in a browser.

use std::io::IsTerminal;
use std::process::{Command, Stdio};

use super::failure::Failure;
use super::session::Session;
use crate::args::Open;

pub async fn run(session: &Session, args: Open) -> Result<(), Failure> {
    let (url, json) = if args.dashboard {
        let link = session.client()?.link_create().await?;
        (link.url.clone(), serde_json::json!({ "url": link.url, "expires_in": link.expires_in }))
    } else {
        let chosen = session.named(&args.named)?;
        let url = session.client()?.app(&chosen.app).await?.app.url;
        (url.clone(), serde_json::json!({ "url": url }))
    };
    if std::io::stdout().is_terminal() && has_desktop() {
        show(&url);
    }
    session.out.one(&json, &url, |out| out.line(&url))
}

fn has_desktop() -> bool {
    cfg!(target_os = "macos") || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some())
}

/// The address is printed in any case, so a browser that does not start costs nothing.
fn show(url: &str) {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let _ = Command::new(opener).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
