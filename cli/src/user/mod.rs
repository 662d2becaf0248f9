//! What people do: every command is a client of the API and nothing more.

mod access;
mod apps;
mod change;
mod deploy;
mod env;
mod events;
mod failure;
pub(crate) mod files;
mod follow;
mod hold;
mod logs;
mod nodes;
mod open;
mod output;
mod plan;
mod progress;
mod rebalance;
mod session;
mod status;
mod system;
mod why;
mod words;

use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory;

use crate::args::{self, Globals, User};
use failure::{Exit, Failure};
use session::Session;

/// Runs one command and says how it ended.
pub fn run(globals: Globals, command: User) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::new(Exit::Failed, words::no_runtime(&error)).report(),
    };
    let session = Arc::new(Session::new(globals));
    let result = runtime.block_on(async {
        tokio::select! {
            result = dispatch(&session, command) => result,
            // Dropping the command ends its calls; what to say depends on how far it was.
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted(session.if_interrupted())),
        }
    });
    // A thread that still reads a file or the terminal must not hold the exit up.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn dispatch(session: &Session, command: User) -> Result<(), Failure> {
    match command {
        User::Deploy(args) => deploy::run(session, *args).await,
        User::Apps => apps::list(session).await,
        User::Status(named) => status::run(session, named).await,
        User::Scale(args) => change::scale(session, args).await,
        User::Logs(args) => logs::run(session, args).await,
        User::Env(args) => env::run(session, args).await,
        User::Releases(named) => apps::releases(session, named).await,
        User::Rollback(args) => change::rollback(session, args).await,
        User::Cancel(named) => hold::cancel(session, named).await,
        User::Pause(args) => hold::pause(session, args).await,
        User::Resume(args) => hold::resume(session, args).await,
        User::Restart(args) => change::restart(session, args).await,
        User::Stop(args) => change::stop(session, args).await,
        User::Start(args) => change::start(session, args).await,
        User::Delete(args) => change::delete(session, args).await,
        User::Why(named) => why::run(session, named).await,
        User::Open(args) => open::run(session, args).await,
        User::Events(args) => events::run(session, args).await,
        User::Nodes(args) => nodes::run(session, args).await,
        User::Bases(args) => system::bases(session, args).await,
        User::Login(args) => access::login(session, args).await,
        User::Logout => access::logout(session),
        User::Whoami => access::whoami(session).await,
        User::Tokens(args) => access::tokens(session, args).await,
        User::Completions { shell } => {
            clap_complete::generate(shell, &mut args::Cli::command(), "dinp", &mut std::io::stdout());
            Ok(())
        }
        User::Version => system::version(session).await,
    }
}
