//! The end of `dinp up`: everything answers, and people know where.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use dinp_client::Client;
use dinp_common::node::NodeStatus;
use dinp_common::token::Token;

use super::keeper::log_path;
use super::layout::Layout;
use super::member::{Member, Role};
use super::say::say;
use super::settings::Settings;
use super::{systemd, tokens};

/// How long the control plane may take until it answers: a large state is checked first.
const START: Duration = Duration::from_secs(60);
/// How long the agent may take to say that Docker answers.
const NODE: Duration = Duration::from_secs(10);
/// How long one look waits for an answer.
const ANSWER: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// Waits until API and router answer; gives the token for this machine's people. `router` is the generation of the router
/// that is to answer; one that it replaces answers too. `log_from` is where the control plane's log ended before: an error
/// after it is why it does not come up.
pub fn wait(layout: &Layout, settings: &Settings, router: &str, log_from: u64) -> Result<Token> {
    let deadline = Instant::now() + START;
    loop {
        let control = Member::find(layout, Role::Control).is_some() && answers(local(settings.panel));
        let started = Member::find(layout, Role::Router).is_some_and(|member| member.generation == router);
        let routes = started && TcpStream::connect(local(settings.listen)).is_ok();
        if let Some(token) = tokens::read(&layout.tokens().join(tokens::ADMIN)).filter(|_| control && routes) {
            return Ok(token);
        }
        if let Some(why) = fatal(layout, log_from).filter(|_| !control) {
            bail!("the control plane does not start: {why}\n  see:  {}", log_of(layout, Role::Control));
        }
        if Instant::now() > deadline {
            let silent = if control { Role::Router } else { Role::Control };
            bail!(
                "the {} process does not answer after {} s\n  see:  {}",
                silent.as_str(),
                START.as_secs(),
                log_of(layout, silent)
            );
        }
        std::thread::sleep(LOOK);
    }
}

/// Where a process of this role says what happens.
fn log_of(layout: &Layout, role: Role) -> String {
    match (systemd::runs_here(layout), role) {
        (true, Role::Router) => "journalctl -u 'dinp-router@*'".to_owned(),
        (true, Role::Control | Role::Keeper) => "journalctl -u dinp".to_owned(),
        (false, _) => log_path(layout, role).display().to_string(),
    }
}

/// The last error with which the process ended, if it has.
fn fatal(layout: &Layout, from: u64) -> Option<String> {
    let mut log = fs::File::open(log_path(layout, Role::Control)).ok()?;
    log.seek(SeekFrom::Start(from)).ok()?;
    let mut text = String::new();
    log.read_to_string(&mut text).ok()?;
    let error = text.rfind("\nerror: ").map(|at| at + 1).or_else(|| text.starts_with("error: ").then_some(0))?;
    Some(text[error + "error: ".len()..].trim_end().to_owned())
}

/// Whether HTTP is spoken there. A connection alone says little: the control plane listens before it has opened its
/// store, and ends if it cannot.
fn answers(panel: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&panel, ANSWER)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.write_all(b"GET /version HTTP/1.0\r\n\r\n")?;
        let mut start = [0; 5];
        stream.read_exact(&mut start)?;
        Ok(&start == b"HTTP/")
    };
    ask().unwrap_or(false)
}

/// An address to reach a listener on all addresses by.
fn local(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address }
}

/// Says how things stand and where everything is.
pub fn tell(layout: &Layout, settings: &Settings, token: &Token) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = Client::connect(&settings.panel_url(), Some(token.clone()))?;
    if let Some(why) = runtime.block_on(node_trouble(&client)) {
        say(format_args!("not ready for apps yet: {why}"));
    }
    let link = runtime.block_on(client.link_create()).context("making a link into the dashboard")?;
    if systemd::runs_here(layout) {
        say("units      dinp, dinp-router@: systemd keeps both, also after a reboot");
    } else {
        say("no systemd here: run dinp up again after a reboot");
    }
    say(format_args!("apps       {}", settings.app_url("APP")));
    say(format_args!("dashboard  {}   (works once, for {} minutes)", link.url, link.expires_in / 60));
    if settings.domain != "localhost" {
        say(format_args!(
            "DNS        *.{}  A  {}",
            settings.domain,
            outward_address().unwrap_or_else(|| "this machine's address".to_owned())
        ));
    }
    if let Some(host) = ssh_host() {
        let (apps, panel) = (settings.listen.port(), settings.panel.port());
        say(format_args!("from your own machine:  ssh -L {apps}:127.0.0.1:{apps} -L {panel}:{} {host}", settings.panel));
    }
    Ok(())
}

/// Why the node takes no apps, once the agent had time to look.
async fn node_trouble(client: &Client) -> Option<String> {
    let deadline = Instant::now() + NODE;
    loop {
        let why = match client.nodes().await {
            Ok(nodes) if nodes.items.iter().any(|node| node.status == NodeStatus::Ready) => return None,
            Ok(nodes) => nodes.items.first().map_or_else(|| "the agent has not reported".to_owned(), |node| node.reason.clone()),
            Err(error) => error.to_string(),
        };
        if Instant::now() > deadline {
            return Some(why);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The address this machine has towards others. Connecting a datagram socket sends nothing.
fn outward_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

/// How the person at the other end of an SSH session reached this machine.
fn ssh_host() -> Option<String> {
    let connection = std::env::var("SSH_CONNECTION").ok()?;
    let address = connection.split_whitespace().nth(2)?;
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).ok()?;
    Some(format!("{user}@{address}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_since_the_start_is_why_it_does_not_start() {
        let folder = tempfile::tempdir().expect("folder");
        let layout = Layout { state: folder.path().into(), run: folder.path().into() };
        fs::create_dir_all(layout.logs()).expect("folder");
        let old = "INFO started\nerror: an old one\n";
        fs::write(log_path(&layout, Role::Control), format!("{old}INFO started\nerror: the disk is full\n  try: rm\n"))
            .expect("log");
        assert_eq!(fatal(&layout, 0).as_deref(), Some("the disk is full\n  try: rm"));
        fs::write(log_path(&layout, Role::Control), format!("{old}INFO started\n")).expect("log");
        assert_eq!(fatal(&layout, old.len() as u64), None);
    }
}
