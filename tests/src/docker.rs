//! The test engine, looked at from outside: what is there, whoever made it.

use std::collections::BTreeSet;
use std::process::Command;

/// An engine by its socket.
#[derive(Debug, Clone)]
pub struct Docker {
    pub socket: String,
}

impl Docker {
    /// The engine that `deploy/test` started for the tests. Never the machine's own, unless somebody names it.
    pub fn for_tests() -> Self {
        let socket = std::env::var("DINP_TEST_DOCKER")
            .expect("DINP_TEST_DOCKER names the socket of an engine for tests; ./deploy/test sets it");
        Self { socket }
    }

    /// Runs `docker ARGUMENTS` and returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        match self.try_run(arguments) {
            Ok(text) => text,
            Err(why) => panic!("docker {}: {why}", arguments.join(" ")),
        }
    }

    pub fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new("docker")
            .arg("-H")
            .arg(format!("unix://{}", self.socket))
            .args(arguments)
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }

    pub fn lines(&self, arguments: &[&str]) -> BTreeSet<String> {
        self.run(arguments).lines().map(str::to_owned).collect()
    }

    /// Full ids of the running containers of an app, by name.
    pub fn running(&self, app: &str) -> BTreeSet<String> {
        self.lines(&["ps", "--no-trunc", "-q", "--filter", &format!("label=dinp.app={app}")])
    }

    /// Full ids of all containers of an app, dead ones too.
    pub fn all(&self, app: &str) -> BTreeSet<String> {
        self.lines(&["ps", "-a", "--no-trunc", "-q", "--filter", &format!("label=dinp.app={app}")])
    }

    /// Everything the engine holds, one line each, for a comparison of before and after.
    pub fn inventory(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for (what, arguments) in [
            ("container", &["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}"][..]),
            ("image", &["images", "-a", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}"]),
            ("network", &["network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}}"]),
            ("volume", &["volume", "ls", "--format", "{{.Name}}"]),
        ] {
            all.extend(self.lines(arguments).into_iter().map(|line| format!("{what} {line}")));
        }
        all
    }

    /// An image of one file on nothing, made without a build.
    pub fn import(&self, file: &std::path::Path, name: &str) -> String {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::copy(file, folder.path().join("app")).expect("copy");
        let tar = folder.path().join("image.tar");
        let status = Command::new("tar").arg("-C").arg(folder.path()).arg("-cf").arg(&tar).arg("app").status().expect("tar");
        assert!(status.success(), "tar: {status}");
        let tar = tar.to_str().expect("UTF-8");
        self.run(&["import", "--change", "ENTRYPOINT [\"/app\"]", tar, name])
    }
}
