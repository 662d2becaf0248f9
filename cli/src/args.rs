//! The grammar of the command line.

mod nodes;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dinp_common::deploy::Strategy;
use dinp_common::health::HealthCheck;
use dinp_common::instance::InstanceId;
use dinp_common::kind::Kind;
use dinp_common::limits::INSTANCES_PER_APP;
use dinp_common::name::{AppName, EnvKey};
use dinp_common::pace::Share;
use dinp_common::placement::Requirement;
use dinp_common::release::ReleaseNo;
use dinp_common::size::{Cpu, MiB};

pub use nodes::{Nodes, NodesCommand};

const EXAMPLES: &str = "\
Examples:
  dinp deploy target/shop.war -a shop    a file you built, to a URL
  dinp deploy site/ -a docs              a folder of static files
  dinp scale 3 -a shop                   three instances
  dinp logs -f -a shop                   what they write, as they write it
  dinp rollback -a shop                  the release before
  dinp why shop                          what is wrong, and what to do

The app is named by -a, by DINP_APP, or by dinp.toml in this folder.
Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 not logged in or denied, 5 conflict,
6 still going on, 7 cannot reach the server, 8 no room, 130 interrupted.";

/// Run what you built: upload a file, get a URL, keep it running.
#[derive(Debug, Parser)]
#[command(name = "dinp", version, after_help = EXAMPLES, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// The app (else DINP_APP, else dinp.toml in this folder)
    #[arg(short, long, global = true, value_name = "NAME", value_parser = AppName::parse)]
    pub app: Option<AppName>,
    /// How to print what was asked for: table, json, jsonl or name
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "table")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub output: Format,
    /// The same as -o json
    #[arg(long, global = true, conflicts_with = "output")]
    pub json: bool,
    /// Print nothing but what was asked for, and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print more columns and details
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Never colour (also NO_COLOR)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Never ask; fail where an answer is needed
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Answer yes to every question
    #[arg(short, long, global = true)]
    pub yes: bool,
}

impl Globals {
    pub fn choose_colour(&self) {
        if self.no_color {
            anstream::ColorChoice::Never.write_global();
        }
    }

    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    /// JSON, one item a line.
    Jsonl,
    Name,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    #[command(flatten)]
    User(User),
    #[cfg(feature = "daemons")]
    #[command(flatten)]
    Process(crate::processes::Command),
}

#[derive(Debug, Subcommand)]
pub enum User {
    /// Deploy a file, a folder or an image
    Deploy(Box<Deploy>),
    /// List the apps
    Apps,
    /// Show an app: its URL, its instances, its last deploy
    Status(Named),
    /// Change how many instances run, or their memory
    Scale(Scale),
    /// Show what an app's instances write
    Logs(Logs),
    /// Show or change an app's environment
    #[command(subcommand)]
    Env(Env),
    /// List an app's releases
    Releases(Named),
    /// Go back to an earlier release
    Rollback(Rollback),
    /// Cancel the deploy under way; the last good release takes its place again
    Cancel(Named),
    /// Hold the deploy under way where it is; its time stands still
    Pause(Pause),
    /// Let a paused deploy go on
    Resume(Change),
    /// Replace every instance by a new one of the same release
    Restart(Change),
    /// Stop every instance; the app and its releases stay
    Stop(Change),
    /// Start a stopped app
    Start(Change),
    /// Delete an app, its instances and its releases
    Delete(Delete),
    /// Say in words what is wrong with an app, and what to do
    Why(Named),
    /// Open an app, or the dashboard, in a browser
    Open(Open),
    /// Show what happened, and why
    Events(Events),
    /// List the nodes; cordon, uncordon or drain one
    Nodes(Nodes),
    /// List the base images
    Bases(Bases),
    /// Log in to a server with a token
    Login(Login),
    /// Forget the token of this server
    Logout,
    /// Show who you are to the server
    Whoami,
    /// Make, list and revoke access tokens
    #[command(subcommand)]
    Tokens(Tokens),
    /// Print a shell's completions
    Completions { shell: clap_complete::Shell },
    /// Print the versions of this program and of the server
    Version,
}

/// A command about one app and nothing else takes its bare name.
#[derive(Debug, Args)]
pub struct Named {
    /// The app
    #[arg(value_parser = AppName::parse)]
    pub name: Option<AppName>,
}

#[derive(Debug, Args)]
pub struct Wait {
    /// Return at once; the deploy goes on
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait, as 90s or 5m; the deploy goes on after it
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    pub named: Named,
    #[command(flatten)]
    pub wait: Wait,
}

#[derive(Debug, Args)]
pub struct Deploy {
    /// The file or folder (else [artifact] in dinp.toml)
    pub path: Option<PathBuf>,
    /// Deploy this image instead of a file
    #[arg(long, value_name = "REF", conflicts_with_all = ["path", "kind", "start", "command"])]
    pub image: Option<String>,
    /// What the file is, where detection is wrong: control, binary, war, jar, python, static
    #[arg(long, value_parser = artifact_kind)]
    pub kind: Option<Kind>,
    /// How many instances
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = instances)]
    pub instances: Option<u32>,
    /// Memory of each instance, as 256M or 1G
    #[arg(long, value_name = "SIZE", value_parser = MiB::parse)]
    pub memory: Option<MiB>,
    /// Processor time reserved for each instance, as 0.5
    #[arg(long, value_name = "N")]
    pub cpu: Option<Cpu>,
    /// What a node must have: disk=ssd, zone=a or "zone in a,b"; may be repeated. With --per-node it replaces what was asked before
    #[arg(long, value_name = "KEY=VALUE", value_parser = Requirement::parse)]
    pub require: Vec<Requirement>,
    /// At most so many instances on one node
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub per_node: Option<u32>,
    /// The port the app listens on
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// How it proves that it serves: a path that answers 200 to 399, or tcp
    #[arg(long, value_name = "PATH|tcp", value_parser = health)]
    pub health: Option<HealthCheck>,
    /// A variable of its environment; may be repeated
    #[arg(long, value_name = "K=V", value_parser = assignment)]
    pub env: Vec<(EnvKey, String)>,
    /// rolling: new ones serve before old ones leave; recreate: old ones go first, with a gap
    #[arg(long, value_parser = strategy)]
    pub strategy: Option<Strategy>,
    /// How many instances a rolling deploy may start beside those wanted, as 2 or 25%; it stays the app's
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub max_surge: Option<Share>,
    /// How many may be missing while it goes on, never the last one, as 1 or 25%; it stays the app's
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub max_unavailable: Option<Share>,
    /// The deploy fails after this time, as 90s or 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// The start command: once for the program, again for each argument (or all of it after --)
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub start: Vec<String>,
    /// Print what would follow, node by node, and change nothing
    #[arg(long, conflicts_with_all = ["no_wait", "show_dockerfile"])]
    pub dry_run: bool,
    /// Print the Dockerfile that gives the same image
    #[arg(long, conflicts_with = "no_wait")]
    pub show_dockerfile: bool,
    /// Return at once; the deploy goes on
    #[arg(long)]
    pub no_wait: bool,
    /// The start command
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "start")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Scale {
    /// How many instances
    #[arg(allow_negative_numbers = true, value_parser = instances, required_unless_present = "memory")]
    pub instances: Option<u32>,
    /// Memory of each instance, as 256M or 1G; makes a new release
    #[arg(long, value_name = "SIZE", value_parser = MiB::parse)]
    pub memory: Option<MiB>,
    /// rolling, or recreate where there is no room for one more
    #[arg(long, value_parser = strategy)]
    pub strategy: Option<Strategy>,
    /// Print what would follow, node by node, and change nothing
    #[arg(long, conflicts_with = "no_wait")]
    pub dry_run: bool,
    #[command(flatten)]
    pub wait: Wait,
}

#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    pub named: Named,
    /// Go on with what is written from now on
    #[arg(short, long)]
    pub follow: bool,
    /// Lines from before now, of each instance
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub lines: u32,
    /// Only this instance
    #[arg(short, long, value_name = "ID", value_parser = InstanceId::parse)]
    pub instance: Option<InstanceId>,
}

#[derive(Debug, Subcommand)]
pub enum Env {
    /// Show the environment
    List(Named),
    /// Set variables; makes a new release
    Set {
        #[arg(value_name = "K=V", required = true, value_parser = assignment)]
        pairs: Vec<(EnvKey, String)>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Remove variables; makes a new release
    Unset {
        #[arg(value_name = "K", required = true, value_parser = EnvKey::parse)]
        keys: Vec<EnvKey>,
        #[command(flatten)]
        wait: Wait,
    },
}

#[derive(Debug, Args)]
pub struct Rollback {
    /// The release, as v3 (else the one that served before)
    #[arg(value_name = "RELEASE")]
    pub to: Option<ReleaseNo>,
    #[command(flatten)]
    pub wait: Wait,
}

#[derive(Debug, Args)]
pub struct Pause {
    #[command(flatten)]
    pub named: Named,
    /// Why, for those who find it paused
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    pub named: Named,
    /// The app's name once more, instead of being asked
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    #[command(flatten)]
    pub wait: Wait,
}

#[derive(Debug, Args)]
pub struct Open {
    #[command(flatten)]
    pub named: Named,
    /// The dashboard, by a link that signs you in once
    #[arg(long, conflicts_with = "name")]
    pub dashboard: bool,
}

#[derive(Debug, Args)]
pub struct Events {
    #[command(flatten)]
    pub named: Named,
    /// Go on with what happens from now on
    #[arg(short, long)]
    pub follow: bool,
    /// How many from before now
    #[arg(short = 'n', long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=200))]
    pub lines: u32,
}

#[derive(Debug, Args)]
pub struct Bases {
    #[cfg(feature = "daemons")]
    #[command(subcommand)]
    pub command: Option<crate::processes::BasesCommand>,
}

#[derive(Debug, Args)]
pub struct Login {
    /// The server, as http://127.0.0.1:8081
    pub url: String,
    /// Read the token from standard input: --token -
    #[arg(long, value_name = "-")]
    pub token: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// Make a token; its text is shown once
    Create {
        name: String,
        /// Days until it ends
        #[arg(long, value_name = "DAYS", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=365))]
        expires: u32,
    },
    /// List the tokens
    List,
    /// Revoke a token
    Revoke {
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Bounds are checked here too, so that a slip costs no upload.
fn instances(text: &str) -> Result<u32, String> {
    let refuse = |why: &str| Err(format!("{why}; an app has 1 to {INSTANCES_PER_APP} instances"));
    match text.parse::<i64>() {
        Err(_) => refuse("it is not a number"),
        Ok(0) => refuse("with none it would be stopped: dinp stop"),
        Ok(n) if n < 0 => refuse("it is below zero"),
        Ok(n) => match u32::try_from(n) {
            Ok(n) if n <= INSTANCES_PER_APP => Ok(n),
            _ => refuse("it is too many"),
        },
    }
}

fn artifact_kind(text: &str) -> Result<Kind, String> {
    match text.parse() {
        Ok(Kind::Image) => Err("an image is deployed by --image REF".to_owned()),
        Ok(kind) => Ok(kind),
        Err(error) => Err(error.to_string()),
    }
}

fn strategy(text: &str) -> Result<Strategy, String> {
    text.parse().map_err(|error: dinp_common::name::InvalidName| error.to_string())
}

fn share(text: &str) -> Result<Share, String> {
    text.parse().map_err(|error: dinp_common::name::InvalidName| error.to_string())
}

fn health(text: &str) -> Result<HealthCheck, String> {
    match text {
        "tcp" => Ok(HealthCheck::Tcp),
        path if path.starts_with('/') => Ok(HealthCheck::Http { path: path.to_owned() }),
        _ => Err("write a path that begins with /, or tcp".to_owned()),
    }
}

fn assignment(text: &str) -> Result<(EnvKey, String), String> {
    let (key, value) = text.split_once('=').ok_or("there is no =; write NAME=value")?;
    let key = EnvKey::parse(key).map_err(|error| error.to_string())?;
    Ok((key, value.to_owned()))
}

/// `90`, `90s`, `5m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return Err("write a time as 90s, 5m or 1h".to_owned()),
    };
    match number.parse::<u32>() {
        Ok(n) if n > 0 => Ok(Duration::from_secs(u64::from(n) * factor)),
        _ => Err("write a time as 90s, 5m or 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_and_counts_are_read_with_their_bounds() {
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert!(duration("0").is_err() && duration("5 m").is_err() && duration("").is_err());
        assert_eq!(instances("1000"), Ok(1000));
        for bad in ["-1", "0", "1001", "10000", "99999999999", "two"] {
            assert!(instances(bad).expect_err(bad).contains("1 to 1000"), "{bad}");
        }
    }
}
