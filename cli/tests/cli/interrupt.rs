//! Ctrl-C: what it leaves behind, and what it says.

use std::process::{Command, Stdio};

use dinp_common::deploy::{DeployPhase, DeployState};
use expect_test::expect;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::{Said, User, binary};
use crate::server::{Script, Server, view};

/// Runs a command, interrupts it once the server has been asked for `request`, and gives its end.
fn interrupted(server: &Server, user: &User, args: &[&str], request: &str) -> Said {
    let mut command = Command::new(binary());
    command.args(args).current_dir(user.project()).env_clear().envs(user.environment());
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    server.wait_for(request);
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGINT).expect("signals");
    Said::of(&child.wait_with_output().expect("ends"), &server.url)
}

#[test]
fn during_an_upload_nothing_was_changed() {
    let server = Server::start(Script { upload_hangs: true, ..Script::default() });
    let user = User::of(&server.url);
    user.file("site/index.html", vec![b'x'; 3_000_000]);
    let said = interrupted(&server, &user, &["deploy", "site", "-a", "shop"], "PUT /v1/artifacts");
    assert_eq!(
        (said.err.lines().last(), said.code),
        (Some("interrupted: nothing was changed: the upload was not complete"), 130)
    );
    let left: Vec<_> =
        std::fs::read_dir(user.project().join("..")).expect("lists").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["project"], "the packed archive is gone");
}

#[test]
fn during_a_rollout_the_deploy_goes_on() {
    let running = view(DeployState::Running, DeployPhase::Rollout);
    let server = Server::start(Script { deploys: [running].into(), ..Script::default() });
    let user = User::of(&server.url);
    let said = interrupted(&server, &user, &["scale", "3", "-a", "shop"], "GET deploy 4");
    assert_eq!(said.code, 130);
    expect!["interrupted: deploy #4 goes on: dinp status shop"].assert_eq(said.err.lines().last().unwrap_or_default());
}
