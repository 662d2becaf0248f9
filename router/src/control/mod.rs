//! The control socket: asking a running router how it is, to stop, or to hand over to its next version.
//!
//! A word and a newline ask. `status` is answered by one line of JSON; `stop` and `leave` by the connection's end, which
//! is that of the process; `takeover` by the listening sockets, after which the two processes are one router until the
//! old one is empty: the new one passes tables on, the old one reports what it still has in flight.

mod fds;
mod server;
mod takeover;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use dinp_common::name::RouterId;
use dinp_common::route::TableVersion;
use serde::{Deserialize, Serialize};

pub use server::{Control, serve};
pub use takeover::{Replaced, Takeover, bind, take_over};

/// Milliseconds for a router to answer a word. One that takes longer hangs.
const ANSWER_MS: u64 = 5_000;
/// The words of a new process: it is about to load the table; and it serves.
const READY: &str = "ready";
const SERVING: &str = "serving";

/// A running router, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningRouter {
    pub router: RouterId,
    pub pid: u32,
    /// Since this process serves.
    pub uptime_ms: u64,
    pub listen: Vec<SocketAddr>,
    /// The version all its cores route by.
    pub confirmed: Option<TableVersion>,
    pub draining: bool,
}

/// The router behind `control`, or `None` if none runs there.
///
/// # Errors
/// If one runs and does not answer.
pub fn status(control: &Path) -> std::io::Result<Option<RunningRouter>> {
    let Some(mut stream) = connect(control)? else { return Ok(None) };
    stream.write_all(b"status\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    serde_json::from_str(&line).map(Some).map_err(std::io::Error::other)
}

/// Stops the router behind `control` and waits until it is gone, for `patience` at most; `false` if none runs there.
/// One that is to `leave` says goodbye to its servers, so that nobody waits for it.
///
/// # Errors
/// If it is not gone in time.
pub fn stop(control: &Path, leave: bool, patience: Duration) -> std::io::Result<bool> {
    let Some(mut stream) = connect(control)? else { return Ok(false) };
    stream.write_all(if leave { b"leave\n" } else { b"stop\n" })?;
    stream.set_read_timeout(Some(patience))?;
    std::io::copy(&mut stream, &mut std::io::sink())?;
    Ok(true)
}

fn connect(control: &Path) -> std::io::Result<Option<UnixStream>> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    match UnixStream::connect(control) {
        Ok(stream) => {
            let limit = Some(Duration::from_millis(ANSWER_MS));
            stream.set_read_timeout(limit)?;
            stream.set_write_timeout(limit)?;
            Ok(Some(stream))
        }
        Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => Ok(None),
        Err(error) => Err(error),
    }
}
