//! The same on a terminal: colour, marks and a bar, and none of it where nobody sees it.

use std::process::{Command, Output};

use crate::flow::good;
use crate::run::{User, binary};
use crate::server::Server;

/// Runs a command on a terminal of its own: `script` (util-linux) gives it one.
fn on_terminal(user: &User, line: &str, extra: &[(&str, &str)]) -> (String, i32) {
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{} {line}", binary().display()), "/dev/null"]);
    command.current_dir(user.project()).env_clear().envs(user.environment()).env("TERM", "xterm-256color");
    let Output { stdout, status, .. } = command.envs(extra.iter().copied()).output().expect("script (util-linux) runs");
    (String::from_utf8_lossy(&stdout).into_owned(), status.code().unwrap_or(-1))
}

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";

#[test]
fn a_deploy_marks_its_steps_in_green() {
    let server = Server::start(good());
    let user = User::of(&server.url);
    user.file("shop.war", "hello world");
    let (said, code) = on_terminal(&user, "deploy shop.war", &[]);
    assert_eq!(code, 0, "{said}");
    for step in ["upload", "detect    Java web app (.war)", "build     b12", "live      http://shop.localhost:8080"] {
        assert!(said.contains(step), "{step} in {said}");
    }
    assert!(said.contains(GREEN) && said.contains("✓"), "{said}");
}

#[test]
fn no_color_is_heard_in_all_its_forms() {
    let user = User::of("http://127.0.0.1:9");
    let (said, code) = on_terminal(&user, "apps", &[]);
    assert!(code == 7 && said.contains(RED), "{said}");
    for (line, extra) in [("apps", vec![("NO_COLOR", "1")]), ("apps --no-color", vec![]), ("apps", vec![("TERM", "dumb")])] {
        let (said, code) = on_terminal(&user, line, &extra);
        assert!(code == 7 && !said.contains('\u{1b}'), "{line} {extra:?}: {said}");
    }
}

#[test]
fn deleting_asks_for_the_name_where_somebody_can_answer() {
    let user = User::of("http://127.0.0.1:9");
    let (said, code) = on_terminal(&user, "delete shop", &[]);
    assert!(code == 2 && said.contains("Type its name to go on"), "{said}");
    let (said, code) = on_terminal(&user, "delete shop --no-input", &[]);
    assert!(code == 2 && said.contains("--confirm shop"), "{said}");
}
