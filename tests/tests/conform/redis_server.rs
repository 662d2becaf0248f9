//! A redis-server of the test's own, which loses power now and then.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use dinp_tests::process::Running;
use dinp_tests::wait::until;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;

const START: Duration = Duration::from_secs(20);

pub struct Server {
    folder: TempDir,
    port: u16,
    process: Option<Running>,
    pub connection: MultiplexedConnection,
}

impl Server {
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("dinp-redis-").tempdir().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let (process, connection) = run(&folder, port).await;
        Self { folder, port, process: Some(process), connection }
    }

    /// It comes back with what it last saved.
    pub async fn lose_power(&mut self) {
        self.process.take().expect("it runs").kill().await;
        let (process, connection) = run(&self.folder, self.port).await;
        (self.process, self.connection) = (Some(process), connection);
    }

    /// Somebody's command.
    pub async fn command(&mut self, words: &[&str]) {
        let done = redis::cmd(words[0]).arg(&words[1..]).exec_async(&mut self.connection).await;
        done.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
}

/// It saves only when it is told to.
async fn run(folder: &TempDir, port: u16) -> (Running, MultiplexedConnection) {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"]);
    let process = Running::start(command.arg(folder.path()).stdout(Stdio::null()));
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("a URL");
    let connect = async || client.get_multiplexed_async_connection().await.map_err(|error| error.to_string());
    let answers = async || {
        let mut connection = connect().await?;
        redis::cmd("PING").exec_async(&mut connection).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(connection)
    };
    let mut connection = None;
    let ready = async || match answers().await {
        Ok(found) => {
            connection = Some(found);
            None
        }
        Err(why) => Some(why),
    };
    until("redis-server answers", START, ready, Option::is_none).await;
    (process, connection.expect("it answered"))
}
