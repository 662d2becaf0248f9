//! One MariaDB for all tests of this program, in a folder of its own.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long the server may take to start on a busy machine; usually 2 s.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// Makes a data folder as `mariadb-install-db` does (which needs more than the server's own package), starts the
/// server, and stops it, with its folder, when this program's end of the pipe closes: at its end, however it ends.
const SCRIPT: &str = r#"
dir=$1 sql=/usr/share/mysql
mkdir "$dir/data"
{
    printf 'CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n'
    cat "$sql/mysql_system_tables.sql" "$sql/mysql_performance_tables.sql" "$sql/mysql_system_tables_data.sql"
} 2>"$dir/log" | mariadbd --no-defaults --bootstrap --datadir="$dir/data" --user="$(id -un)" >>"$dir/log" 2>&1
mariadbd --no-defaults --datadir="$dir/data" --socket="$dir/socket" --pid-file="$dir/pid" --bind-address=127.0.0.1 --port="$2" \
    --innodb-flush-log-at-trx-commit=1 --innodb-buffer-pool-size=32M --user="$(id -un)" >>"$dir/log" 2>&1 </dev/null &
cat >/dev/null
kill -9 $!
wait $! 2>/dev/null
rm -rf "$dir"
"#;

struct Server {
    port: u16,
    /// Its standard input is the pipe.
    _guard: Child,
}

/// The port of the server, which is started by the first who asks.
pub fn port() -> u16 {
    static SERVER: OnceLock<Result<Server, String>> = OnceLock::new();
    match SERVER.get_or_init(start) {
        Ok(server) => server.port,
        Err(why) => panic!("{why}"),
    }
}

fn start() -> Result<Server, String> {
    let found = Command::new("sh").args(["-c", "command -v mariadbd >/dev/null"]).status().expect("sh runs");
    if !found.success() {
        let package = "apt-get install --no-install-recommends mariadb-server-core";
        return Err(format!("mariadbd is missing, and half of the store's tests need it; install it: {package}"));
    }
    let folder = tempfile::Builder::new().prefix("dinp-store-mariadb-").tempdir().expect("a folder").keep();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let guard = Command::new("sh")
        .args(["-c", SCRIPT, "sh"])
        .arg(&folder)
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts");
    let server = Server { port, _guard: guard };
    wait_for(port, &folder).map(|()| server)
}

fn wait_for(port: u16, folder: &Path) -> Result<(), String> {
    let begun = Instant::now();
    while !greets(port) {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        if begun.elapsed() > START_DEADLINE || log.contains("[ERROR] Aborting") {
            return Err(format!("MariaDB does not start on port {port}; its log:\n{log}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Whether the server sends its handshake.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok() && matches!(stream.read(&mut [0; 16]), Ok(n) if n > 4)
}
