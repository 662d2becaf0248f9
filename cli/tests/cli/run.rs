//! Running the binary in a home and a folder of its own.

use std::path::PathBuf;
use std::process::Output;

use assert_cmd::Command;
use tempfile::TempDir;

/// A token of the right form that no server knows.
pub fn token() -> String {
    use dinp_common::token::{Token, TokenKind};
    Token::from_random(TokenKind::Personal, [9; 32]).expose().to_owned()
}

/// A user: a home and a project folder, nothing else of this machine.
pub struct User {
    home: TempDir,
    pub url: String,
}

impl User {
    /// A user of the server at `url`, with a token.
    pub fn of(url: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join("project")).expect("makes");
        Self { home, url: url.to_owned() }
    }

    pub fn project(&self) -> PathBuf {
        self.home.path().join("project")
    }

    /// Writes a file of the project.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.project().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("makes");
        std::fs::write(&path, content).expect("writes");
        path
    }

    /// The environment of every command: nothing from the outside, so nothing of it is in a snapshot.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("HOME", self.home.path().display().to_string()),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("TMPDIR", self.home.path().display().to_string()),
            ("DINP_URL", self.url.clone()),
            ("DINP_TOKEN", token()),
        ]
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.project()).env_clear().envs(self.environment());
        command
    }

    pub fn run(&self, args: &[&str]) -> Said {
        Said::of(&self.command(args).output().expect("runs"), &self.url)
    }
}

pub fn binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("dinp").to_owned()
}

/// What a command printed, with what differs from run to run masked.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: i32,
}

impl Said {
    pub fn of(output: &Output, url: &str) -> Self {
        let text = |bytes: &[u8]| mask(&String::from_utf8_lossy(bytes), url);
        Self { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code().unwrap_or(-1) }
    }

    /// Everything, for a snapshot.
    pub fn all(&self) -> String {
        format!("{}--- stderr\n{}--- exit {}\n", self.out, self.err, self.code)
    }
}

/// Replaces the server's address by `URL` and every time by `N s`; a line's clock is padded, and loses its padding.
fn mask(text: &str, url: &str) -> String {
    let mut masked = String::new();
    for line in text.replace(url, "URL").lines() {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for at in 1..words.len() {
            let is_time = words[at].trim_end_matches(['.', ',']) == "s" && words[at - 1].parse::<f64>().is_ok();
            if is_time {
                words[at - 1] = "N".to_owned();
            }
        }
        let line = words.join(" ");
        let bare = line.trim_start();
        masked.push_str(if bare.starts_with("N s ") { bare } else { &line });
        masked.push('\n');
    }
    masked
}
