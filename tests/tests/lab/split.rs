//! Every component a process of its own, on MariaDB and Redis: whatever is down or changed by hand, it converges.

use std::process::Command;
use std::time::Duration;

use dinp_common::api::{ScaleRequest, Settings};
use dinp_common::health::HealthCheck;
use dinp_tests::docker::Docker;
use dinp_tests::lab::{Lab, SETTLE, free_port, name, said};
use dinp_tests::process::{alive, gone, signal};
use dinp_tests::runner::World;
use dinp_tests::sample;
use dinp_tests::wait::until;
use nix::sys::signal::Signal;

/// How long an agent waits for a leader before it restarts what crashed by itself, and then some.
const ALONE: Duration = Duration::from_secs(60);

struct Split {
    lab: Lab,
    api: u16,
    mysql: u16,
    redis: u16,
}

impl Split {
    fn prepare() -> Self {
        Self { lab: Lab::prepare(Docker::for_tests()), api: free_port(), mysql: free_port(), redis: free_port() }
    }

    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(dinp_tests::root().join("deploy/split"));
        command
            .arg(what)
            .env("HOME", self.lab.folder().join("home"))
            .env("SPLIT_STATE", self.lab.state())
            .env("SPLIT_PROGRAM", &self.lab.program)
            .env("SPLIT_DOCKER", &self.lab.docker.socket)
            .env("SPLIT_BRIDGE", format!("dinp-{}", self.api))
            .env("SPLIT_APPS", self.lab.router.to_string())
            .env("SPLIT_PANEL", self.lab.panel.to_string())
            .env("SPLIT_API", format!("127.0.0.1:{}", self.api))
            .env("SPLIT_MYSQL_PORT", self.mysql.to_string())
            .env("SPLIT_REDIS_PORT", self.redis.to_string());
        command
    }

    async fn start(&self) {
        let mut command = self.command("start");
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("joined").expect("the script runs");
        assert!(output.status.success(), "{}", said(&output));
        self.lab.node_ready().await;
    }

    fn pid(&self, component: &str) -> i32 {
        let text = std::fs::read_to_string(self.lab.state().join(format!("run/{component}.pid"))).expect("a process id");
        text.trim().parse().expect("a number")
    }

    fn redis(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.redis.to_string()]).args(arguments).output().expect("redis-cli");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn sql(&self, statement: &str) {
        let socket = self.lab.state().join("mariadb/m.sock");
        let password = std::fs::read_to_string(self.lab.state().join("mysql.password")).expect("a password");
        let output = Command::new("mariadb")
            .args(["--no-defaults", "-uroot", &format!("-p{}", password.trim()), "-S"])
            .arg(socket)
            .args(["dinp", "-e", statement])
            .output()
            .expect("mariadb");
        assert!(output.status.success(), "{statement}: {}", said(&output));
    }
}

impl Drop for Split {
    fn drop(&mut self) {
        let _ = self.command("purge").output();
    }
}

async fn serves(lab: &Lab, deadline: Duration) {
    let look = async || lab.get("parts", "/health").await.map(|answer| answer.status.as_u16()).map_err(|error| error.to_string());
    until("it serves", deadline, look, |answer| *answer == Ok(200)).await.expect("an answer");
}

pub async fn separate_processes_on_mariadb_and_redis_converge_whatever_happens(_: &World) {
    let split = Split::prepare();
    let before = split.lab.docker.inventory();
    split.start().await;
    let lab = &split.lab;
    let settings = Settings { health: Some(HealthCheck::Http { path: "/health".into() }), ..Settings::default() };
    lab.deploy("parts", &sample::binary(), settings.clone()).await;
    let load = lab.load("parts");
    let scale = ScaleRequest { instances: Some(3), ..ScaleRequest::default() };
    lab.succeeds(&lab.client().scale(&name("parts"), &scale).await.expect("taken")).await;
    lab.deploy("parts", &sample::version(lab.folder(), "split"), settings).await;
    lab.settled("parts").await;

    // Redis forgets everything, and a moment later knows it again.
    assert_eq!(split.redis(&["FLUSHALL"]), "OK");
    until("the routes are back", SETTLE, async || split.redis(&["HLEN", "dinp:routes"]), |n| n.as_str() != "0").await;

    // The count is changed behind everybody's back.
    split.sql("UPDATE apps SET instances = 2 WHERE name = 'parts'");
    until("two instances run", SETTLE, async || lab.docker.all("parts").len(), |n| *n == 2).await;
    load.stop().await.assert_nothing_lost();

    // Without the server: the router routes on, and the agent restarts what crashes, in the same container.
    let load = lab.load("parts");
    load.warm().await;
    let server = split.pid("server");
    signal(server, Signal::SIGTERM);
    gone(server).await;
    let containers = lab.docker.running("parts");
    assert_eq!(containers.len(), 2);
    load.stop().await.assert_nothing_lost();
    let victim = containers.first().expect("a container").clone();
    lab.docker.run(&["kill", &victim]);
    until("the same container runs again", ALONE, async || lab.docker.running("parts"), |now| *now == containers).await;
    serves(lab, SETTLE).await;

    split.start().await;
    assert!(alive(split.pid("server")));
    lab.settled("parts").await;
    let purged = split.command("purge").output().expect("the script runs");
    assert!(purged.status.success(), "{}", said(&purged));
    assert_eq!(lab.docker.inventory(), before);
    assert!(!lab.state().exists());
}
