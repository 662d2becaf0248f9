//! `dinp bases make`: base images, made by root on the machine whose Docker is to have them.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;
use dinp_common::kind::Base;

use super::layout::{Layout, STATE};
use super::settings::Settings;

#[derive(Debug, Subcommand)]
pub enum BasesCommand {
    /// Make a base image from Debian packages, in this machine's Docker
    Make {
        /// debian, java, python or web
        base: Base,
        /// The installation whose Docker gets it
        #[arg(long, value_name = "FOLDER", default_value = STATE)]
        state: PathBuf,
    },
}

pub async fn run(command: BasesCommand) -> Result<()> {
    let BasesCommand::Make { base, state } = command;
    ensure!(nix::unistd::geteuid().is_root(), "making a base needs root\n  try:  sudo dinp bases make {base}");
    let layout = Layout::new(&state)?;
    let settings = Settings::load(&layout)?.unwrap_or_default();
    let cluster = std::fs::read_to_string(layout.cluster())
        .with_context(|| format!("{} is not the state of a dinp up that has run", layout.state.display()))?;
    let docker = dinp_builder::connect(settings.docker.as_ref()).await?;
    let image = dinp_builder::base_make(&docker, cluster.trim(), base, &|line| eprintln!("{line}")).await?;
    println!("{} {}", image.name, image.config);
    Ok(())
}
