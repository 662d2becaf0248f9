//! What a listener holds its clients to.

use std::time::Duration;

use crate::files;

/// Connections of one listener that are open at once; who comes later waits in the kernel's queue until one ends. An agent
/// holds one, and so does whoever follows a log or a deploy: room for some thousand nodes and their people. An idle one
/// costs some 15 KiB.
const CONNECTIONS: usize = 4_096;
/// The same of an admin address, which a few scrapers and probes know.
const ADMIN_CONNECTIONS: usize = 64;
/// Files a process may have open: half of them clients' connections, and half what it opens itself.
const FILES: u64 = 2 * CONNECTIONS as u64;
/// From a connection's opening, or the end of its last answer, to the end of the next request's head. Longer than the
/// minute for which proxies in front keep a connection unused, so that none sends a request into one that is closing.
const HEAD: Duration = Duration::from_secs(75);
/// Without a byte of a request's body while one is waited for. Our own clients give up before.
const BODY: Duration = Duration::from_secs(60);
/// Without the client taking a byte of what is sent. As long as Linux tries to reach one that is gone, and long
/// enough to read a page of a followed log in a pager.
const UNREAD: Duration = Duration::from_secs(15 * 60);

/// Bytes of a request's head, as many as a router lets through. Larger: 431.
pub const HEAD_BYTES: usize = 32 * 1024;
/// Seconds of silence after which the kernel asks whether a client is still there.
pub const ALIVE_AFTER_SECONDS: u32 = 60;
/// The pause after a connection could not be accepted: without files or memory, trying at once would only burn a core.
pub const ACCEPT_AGAIN: Duration = Duration::from_secs(1);
/// How often it is said that no more connections are accepted.
pub const FULL_AGAIN: Duration = Duration::from_secs(60);

/// What differs from one listener to another.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub connections: usize,
    pub head: Duration,
    pub body: Duration,
    pub unread: Duration,
}

impl Bounds {
    /// Of an address that everybody may know.
    pub fn of_all() -> Self {
        let half = usize::try_from(files::raise_limit(FILES) / 2).unwrap_or(usize::MAX);
        Self { connections: CONNECTIONS.min(half).max(1), head: HEAD, body: BODY, unread: UNREAD }
    }

    /// Of an admin address.
    pub fn of_admin() -> Self {
        Self { connections: ADMIN_CONNECTIONS, head: HEAD, body: BODY, unread: UNREAD }
    }
}
