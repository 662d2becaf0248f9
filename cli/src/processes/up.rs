//! `dinp up`: makes sure that the platform runs on this machine, as this binary and as asked, and says what it did.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use dinp_common::name::Host;
use dinp_daemon::failpoint;
use nix::unistd::geteuid;

use super::layout::Layout;
use super::member::{Member, Role, binary_id, generation};
use super::say::say;
use super::settings::Settings;
use super::{Up, component, keeper, login, ports, purge, ready, stop, systemd};

/// How long the old control plane may take to write what it has begun.
const CONTROL_GRACE: Duration = Duration::from_secs(15);
/// How long the old router may take to finish what is in flight, where its address changes.
const ROUTER_GRACE: Duration = Duration::from_secs(40);

/// Whom the router becomes once its sockets are bound: every Linux has it, and it owns nothing.
pub const ROUTER_USER: &str = "nobody";

pub fn run(options: &Up) -> Result<()> {
    ensure!(geteuid().is_root(), "dinp up needs root, since Docker's socket does\n  try:  sudo dinp up");
    let layout = Layout::new(&options.state)?;
    if options.purge {
        return purge::run(&layout);
    }
    if options.stop {
        return halt(&layout);
    }
    let kept = Settings::load(&layout).context("reading what this installation was started with\n  try:  dinp up --purge")?;
    let settings = asked(options, kept.clone().unwrap_or_default())?;
    addresses_differ(&layout, &settings)?;
    if options.foreground {
        settings.save_if_new(&layout, kept.as_ref())?;
        return component::foreground(&layout, settings);
    }
    layout.prepare().with_context(|| format!("making {}", layout.state.display()))?;
    let _alone = only_one_at_a_time(&layout)?;
    let before = Before::look(&layout, &settings)?;
    if before.nothing_to_do() {
        say(format_args!("already running as process {} on {}: nothing changed", before.control_pid(), layout.state.display()));
    } else {
        start(&layout, &settings, &before)?;
    }
    let token = ready::wait(&layout, &settings, &before.router_wanted, before.log_length)?;
    login::remember(&settings.panel_url(), &token)?;
    ready::tell(&layout, &settings, &token)
}

fn halt(layout: &Layout) -> Result<()> {
    let mut stopped = false;
    stop::all(layout, &mut |line| {
        stopped = true;
        say(line);
    })?;
    if stopped {
        say("apps keep running, and nobody routes to them until the next dinp up");
    } else {
        say(format_args!("nothing runs on {}", layout.state.display()));
    }
    Ok(())
}

/// What was kept, changed by what was asked for now.
fn asked(options: &Up, mut settings: Settings) -> Result<Settings> {
    if let Some(domain) = &options.domain {
        Host::parse(domain).context("--domain")?;
        if *domain != settings.domain && domain != "localhost" {
            settings.listen.set_port(80);
        }
        settings.domain.clone_from(domain);
    }
    settings.listen = options.listen.unwrap_or(settings.listen);
    settings.panel = options.panel.unwrap_or(settings.panel);
    settings.admin = options.admin.or(settings.admin);
    settings.router_admin = options.router_admin.or(settings.router_admin);
    if let Some(docker) = &options.docker {
        settings.docker = docker.trim_start_matches("unix://").to_owned();
    }
    Ok(settings)
}

/// Each part listens somewhere else; before anything runs, no port would be found taken.
fn addresses_differ(layout: &Layout, settings: &Settings) -> Result<()> {
    let mut known: Vec<(SocketAddr, &str)> = Vec::new();
    for (address, option) in [
        (settings.listen, "--listen"),
        (settings.panel, "--panel"),
        (settings.admin(layout), "--admin"),
        (settings.router_admin(layout), "--router-admin"),
    ] {
        if let Some((taken, other)) = known.iter().find(|(taken, _)| overlap(*taken, address)) {
            bail!("{other} is {taken} and {option} is {address}, and only one of them can be there");
        }
        known.push((address, option));
    }
    Ok(())
}

/// Two cannot listen so side by side: the same port, and of one address or of all.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let all = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (all || one.ip() == other.ip())
}

/// Held while one `dinp up` works, so that two typed at once do not start everything twice.
fn only_one_at_a_time(layout: &Layout) -> Result<std::fs::File> {
    let file = std::fs::File::create(layout.state.join("up.lock"))?;
    if file.try_lock().is_err() {
        bail!("another dinp up is at work on {} just now", layout.state.display());
    }
    Ok(file)
}

/// What runs already.
struct Before {
    keeper: Option<Member>,
    control: Option<Member>,
    router: Option<Member>,
    /// This binary's id.
    binary: String,
    /// The generations of what is asked for.
    control_wanted: String,
    router_wanted: String,
    /// Units or a keeper of this binary start again what ends.
    kept: bool,
    /// Bytes of the control plane's log: what comes after them is news.
    log_length: u64,
}

impl Before {
    fn look(layout: &Layout, settings: &Settings) -> Result<Self> {
        let (binary, keeper) = (binary_id()?, Member::find(layout, Role::Keeper));
        let control_wanted = generation(&binary, &settings.text()?);
        let router_wanted = generation(&binary, &router_config(layout, settings)?);
        let kept = if systemd::runs_here(layout) {
            systemd::is_kept(layout, &own_path()?, &router_wanted)
        } else {
            keeper.as_ref().is_some_and(|keeper| keeper.binary == binary)
        };
        Ok(Self {
            keeper,
            control: Member::find(layout, Role::Control),
            router: Member::find(layout, Role::Router),
            binary,
            control_wanted,
            router_wanted,
            kept,
            log_length: std::fs::metadata(keeper::log_path(layout, Role::Control)).map_or(0, |meta| meta.len()),
        })
    }

    /// What runs says itself as what it was started: what is kept for the next start is newer where a `dinp up` ended
    /// half-way.
    fn nothing_to_do(&self) -> bool {
        let is = |member: &Option<Member>, wanted: &str| member.as_ref().is_some_and(|member| member.generation == wanted);
        self.kept && is(&self.control, &self.control_wanted) && is(&self.router, &self.router_wanted)
    }

    /// What starting means for what runs; `moved` where the router gets another address.
    fn what_happens(&self, moved: bool) -> String {
        let older = [&self.control, &self.router].into_iter().flatten().any(|member| member.binary != self.binary);
        let what = if older { "upgrading in place" } else { "starting anew as asked" };
        let router = match (&self.router, moved) {
            (None, _) => "starts",
            (Some(_), true) => "moves to its new address",
            (Some(_), false) => "goes on serving",
        };
        format!("{what}: containers stay, and the router {router}")
    }

    fn control_pid(&self) -> i32 {
        self.control.as_ref().map_or(0, |control| control.pid)
    }
}

fn start(layout: &Layout, settings: &Settings, before: &Before) -> Result<()> {
    let kept = Settings::load(layout)?;
    let moved = kept.as_ref().is_some_and(|kept| kept.listen != settings.listen);
    if before.router.is_none() || moved {
        ports::must_be_free(settings.listen, "the router", "--listen")?;
    }
    if before.control.is_none() || kept.as_ref().is_some_and(|kept| kept.panel != settings.panel) {
        ports::must_be_free(settings.panel, "the dashboard", "--panel")?;
    }
    let changed =
        |of: fn(&Settings, &Layout) -> SocketAddr| kept.as_ref().is_some_and(|kept| of(kept, layout) != of(settings, layout));
    if before.router.is_none() || changed(Settings::router_admin) {
        ports::must_be_free(settings.router_admin(layout), "the router's admin address", "--router-admin")?;
    }
    if before.control.is_none() || changed(Settings::admin) {
        ports::must_be_free(settings.admin(layout), "the control plane's admin address", "--admin")?;
    }
    warn_without_docker(settings);
    settings.save(layout)?;
    std::fs::write(layout.router_config(), router_config(layout, settings)?).context("writing the router's configuration")?;
    if before.control.is_some() {
        say(before.what_happens(moved));
    }
    if systemd::runs_here(layout) {
        return systemd::start(layout, &own_path()?, &before.router_wanted, moved);
    }
    // The keeper first, or it would start again what is stopped next.
    for member in [&before.keeper, &before.control].into_iter().flatten() {
        member.stop(CONTROL_GRACE)?;
    }
    if moved {
        stop::each(&Member::all(layout, Role::Router), ROUTER_GRACE)?;
    }
    failpoint::here("up.stopped");
    // A router of another generation goes on serving, and stays recorded, until its successor has its sockets.
    keeper::start(layout)
}

/// Where units start this binary from.
fn own_path() -> Result<PathBuf> {
    std::env::current_exe().context("our own path")
}

fn warn_without_docker(settings: &Settings) {
    if let Err(error) = UnixStream::connect(&settings.docker) {
        say(format_args!("Docker does not answer at {} ({error}).", settings.docker));
        say("  now:  everything else starts, and Docker is tried again every few seconds");
        say("  try:  systemctl start docker, or apt-get install docker.io");
    }
}

/// The router's configuration file.
fn router_config(layout: &Layout, settings: &Settings) -> Result<String> {
    let config = dinp_router::Config {
        listen: settings.listen.to_string(),
        feed: format!("unix:{}", layout.routes_socket().display()),
        state_dir: layout.router(),
        control: layout.router_control(),
        admin: Some(settings.router_admin(layout)),
        user: Some(ROUTER_USER.to_owned()),
        ..dinp_router::Config::default()
    };
    Ok(toml::to_string(&config)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser as _;

    fn parse(arguments: &[&str]) -> Result<Settings> {
        let cli = Cli::try_parse_from(["dinp", "up"].iter().chain(arguments)).expect("a command line");
        let crate::args::Command::Process(super::super::Command::Up(up)) = cli.command else { panic!("not up") };
        asked(&up, Settings::default())
    }

    /// What a start of the binary `new` finds.
    fn before(control: Option<Member>, router: Option<Member>) -> Before {
        let wanted = || generation("new", "");
        let (control_wanted, router_wanted) = (wanted(), wanted());
        Before { keeper: None, control, router, binary: "new".into(), control_wanted, router_wanted, kept: true, log_length: 0 }
    }

    #[test]
    fn what_runs_with_another_configuration_is_not_what_was_asked_for() {
        let member = |configuration: &str| {
            Some(Member { pid: 1, started: 1, binary: "new".into(), generation: generation("new", configuration) })
        };
        assert!(before(member(""), member("")).nothing_to_do());
        assert!(!before(member("older"), member("")).nothing_to_do());
        assert!(!before(member(""), member("older")).nothing_to_do());
    }

    #[test]
    fn an_upgrade_and_a_router_that_moves_are_called_so() {
        let member =
            |binary: &str| Some(Member { pid: 1, started: 1, binary: binary.to_owned(), generation: generation(binary, "") });
        let said = |control, router, moved| {
            let before = before(control, router);
            (before.nothing_to_do(), before.what_happens(moved))
        };
        let (nothing, what) = said(member("new"), member("old"), false);
        assert!(!nothing && what.starts_with("upgrading in place") && what.ends_with("goes on serving"), "{what}");
        let (nothing, what) = said(member("new"), member("new"), true);
        assert!(nothing && what.starts_with("starting anew") && what.ends_with("moves to its new address"), "{what}");
        let (nothing, what) = said(member("new"), None, false);
        assert!(!nothing && what.ends_with("the router starts"), "{what}");
    }

    #[test]
    fn the_admin_addresses_are_fixed_where_they_are_looked_for_and_free_elsewhere() {
        let usual = Layout::new(std::path::Path::new(super::super::layout::STATE)).expect("layout");
        let other = Layout::new(std::path::Path::new("/srv/other")).expect("layout");
        let settings = parse(&["--router-admin", "10.0.0.1:9100"]).expect("settings");
        assert_eq!(settings.admin(&usual).to_string(), "127.0.0.1:9082");
        assert_eq!(settings.admin(&other).to_string(), "127.0.0.1:0");
        assert_eq!(settings.router_admin(&other).to_string(), "10.0.0.1:9100");
        addresses_differ(&other, &settings).expect("any free port is another one");
        let twice = parse(&["--admin", "127.0.0.1:8081"]).expect("settings");
        let error = addresses_differ(&usual, &twice).expect_err("the dashboard is there").to_string();
        assert!(error.contains("--panel is 127.0.0.1:8081 and --admin is 127.0.0.1:8081"), "{error}");
        let all = parse(&["--listen", "0.0.0.0:9082"]).expect("settings");
        addresses_differ(&usual, &all).expect_err("all addresses have this one among them");
    }

    #[test]
    fn a_router_with_another_configuration_is_of_another_generation() {
        let layout = Layout::new(std::path::Path::new("/srv/other")).expect("layout");
        let named = |arguments: &[&str]| {
            let config = router_config(&layout, &parse(arguments).expect("settings")).expect("a configuration");
            generation("1a-2b", &config)
        };
        assert!(named(&[]).starts_with("1a-2b-"), "{}", named(&[]));
        assert_eq!(named(&[]), named(&["--panel", "127.0.0.1:1"]), "nothing of the router's");
        assert_ne!(named(&[]), named(&["--router-admin", "127.0.0.1:9100"]));
    }

    #[test]
    fn a_domain_means_port_80_unless_somebody_says_otherwise() {
        let domain = parse(&["--domain", "apps.example.com"]).expect("settings");
        assert_eq!((domain.domain.as_str(), domain.listen.to_string()), ("apps.example.com", "0.0.0.0:80".to_owned()));
        let both = parse(&["--domain", "apps.example.com", "--listen", "10.0.0.1:8000"]).expect("settings");
        assert_eq!(both.app_url("shop"), "http://shop.apps.example.com:8000");
        assert_eq!(parse(&[]).expect("settings"), Settings::default());
        assert!(parse(&["--domain", "Apps_Example"]).is_err());
        assert_eq!(parse(&["--docker", "unix:///run/d.sock"]).expect("settings").docker, "/run/d.sock");
    }
}
