//! `dinp`: the one binary people install. Every daemon is a subcommand, and so is everything people do.

mod args;
#[cfg(feature = "daemons")]
mod processes;
mod usage;
mod user;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = usage::read();
    cli.globals.choose_colour();
    match cli.command {
        #[cfg(feature = "daemons")]
        args::Command::Process(command) => processes::run(command),
        args::Command::User(command) => user::run(cli.globals, command),
    }
}
