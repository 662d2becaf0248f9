//! `dinp up --purge`: nothing of this installation is left, and nothing of anybody else is touched.
//!
//! It reads a small text file and Docker's labels, never the state itself, so a damaged state is no obstacle.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::layout::Layout;
use super::say::say;
use super::settings::Settings;
use super::{control, login, stop, systemd};

pub fn run(layout: &Layout) -> Result<()> {
    if !layout.state.exists() && !layout.run.exists() {
        say(format_args!("nothing is at {}", layout.state.display()));
        return Ok(());
    }
    stop::all(layout, &mut say)?;
    // A damaged file means the defaults: the usual socket and address.
    let settings = Settings::load(layout).ok().flatten().unwrap_or_default();
    let agent = control::agent_config(layout, &settings);
    node(&agent)?;
    login::forget(&settings.panel_url())?;
    if systemd::runs_here(layout) {
        systemd::remove()?;
    }
    for folder in [&layout.run, &layout.state] {
        remove(folder)?;
    }
    Ok(())
}

/// What the agent made on this machine.
pub fn node(agent: &dinp_agent::Config) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let removed = runtime.block_on(dinp_agent::purge(&agent.docker, &agent.node_name(), &agent.bridge)).with_context(|| {
        let docker = agent.docker.display();
        format!("Docker at {docker} must answer, or what it holds would stay for ever\n  try:  start Docker, and purge again")
    })?;
    for line in removed {
        say(format_args!("removed {line}"));
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => say(format_args!("removed {}", folder.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("removing {}", folder.display())),
    }
    Ok(())
}
