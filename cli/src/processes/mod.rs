//! The daemons: `dinp up`, which is a whole platform on one machine, and each component by itself.

mod bases;
mod component;
mod control;
mod keeper;
mod layout;
mod login;
mod member;
mod ports;
mod purge;
mod ready;
mod say;
mod settings;
mod stop;
mod systemd;
mod tokens;
mod units;
mod up;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use dinp_daemon::telemetry;

pub use bases::BasesCommand;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole platform on this machine, or upgrade, stop or remove it
    Up(Up),
    /// Run the server alone
    Server(Server),
    /// Run the agent alone
    Agent(Agent),
    /// Run the router alone
    Router(Router),
    /// Run the builder alone
    Builder(Component),
    /// Run the dashboard alone
    Dash(Component),
    /// Start the two processes of `dinp up` again when they end
    #[command(hide = true)]
    Keeper {
        #[arg(long)]
        state: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Up {
    /// Serve apps at <app>.DOMAIN, on port 80
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// Where users' traffic comes in (0.0.0.0:8080, with --domain 0.0.0.0:80)
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where API and dashboard are (127.0.0.1:8081)
    #[arg(long, value_name = "ADDRESS")]
    panel: Option<SocketAddr>,
    /// Where the control plane's /livez, /readyz and /metrics are (127.0.0.1:9082)
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Where the router's are (127.0.0.1:9084)
    #[arg(long, value_name = "ADDRESS")]
    router_admin: Option<SocketAddr>,
    /// Docker's socket (/var/run/docker.sock)
    #[arg(long, value_name = "SOCKET")]
    docker: Option<String>,
    /// Where everything is kept
    #[arg(long, value_name = "FOLDER", default_value = layout::STATE)]
    state: PathBuf,
    /// Stop the processes; apps, data and containers stay
    #[arg(long, group = "action")]
    stop: bool,
    /// Remove every container, image, network, unit and file of this installation
    #[arg(long, group = "action")]
    purge: bool,
    /// Run the control plane in this process, as units do
    #[arg(long, group = "action")]
    foreground: bool,
}

#[derive(Debug, Args)]
pub struct Component {
    /// Its TOML file; DINP_<COMPONENT>_<KEY> overrides each key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read the configuration, say whether it is valid, and end
    #[arg(long)]
    check_config: bool,
}

#[derive(Debug, Args)]
pub struct Server {
    #[command(flatten)]
    component: Component,
    /// Make sure that this folder holds a token for people, for the agent and for the builder
    #[arg(long, value_name = "FOLDER")]
    tokens: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Agent {
    #[command(flatten)]
    component: Component,
    /// Remove every container, image and network that this node's agent made, and end
    #[arg(long)]
    purge: bool,
}

#[derive(Debug, Args)]
pub struct Router {
    #[command(flatten)]
    component: Component,
    /// The installation of `dinp up` it belongs to
    #[arg(long, hide = true)]
    state: Option<PathBuf>,
}

pub async fn bases(command: BasesCommand) -> anyhow::Result<()> {
    bases::run(command).await
}

/// Runs a process to its end. Must be called outside any async runtime: the router brings its own.
pub fn run(command: Command) -> ExitCode {
    let ended = match command {
        Command::Up(up) => up::run(&up),
        Command::Keeper { state } => component::keeper(&state),
        Command::Server(server) => component::server(&server),
        Command::Agent(agent) => component::agent(&agent),
        Command::Router(router) => component::router(&router),
        Command::Builder(builder) => component::builder(&builder),
        Command::Dash(dash) => component::dash(&dash),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}error: {error:#}", telemetry::last_words());
            ExitCode::FAILURE
        }
    }
}
