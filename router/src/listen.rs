//! Listening sockets: one per core and address, taken over or bound.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::Context as _;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket, sockopt};

use crate::config::Listen;
use crate::limits::BACKLOG;

/// Seconds of silence after which the kernel asks whether a client is still there.
const KEEPALIVE_SECONDS: u32 = 60;

/// The sockets for `wanted`, `cores` of each: those `received` from the router before this one, and new ones for
/// addresses it did not have. What it had beyond them is closed here.
///
/// # Errors
/// If an address cannot be bound; the text names the port.
pub fn listeners(wanted: &[Listen], cores: usize, received: Vec<TcpListener>) -> anyhow::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut received: Vec<(Option<SocketAddr>, TcpListener)> =
        received.into_iter().map(|listener| (listener.local_addr().ok(), listener)).collect();
    for want in wanted {
        let (same, others) =
            received.into_iter().partition::<Vec<_>, _>(|(address, _)| address.is_some_and(|a| fits(a, want.address)));
        received = others;
        if same.is_empty() {
            match bind_cores(want.address, cores) {
                Ok(bound) => listeners.extend(bound),
                Err(error) if want.optional => tracing::debug!(error = format!("{error:#}"), "not listening there"),
                Err(error) => return Err(error),
            }
        } else {
            listeners.extend(same.into_iter().map(|(_, listener)| listener));
        }
    }
    Ok(listeners)
}

/// Port 0 is any port.
fn fits(address: SocketAddr, wanted: SocketAddr) -> bool {
    address.ip() == wanted.ip() && (wanted.port() == 0 || address.port() == wanted.port())
}

fn bind_cores(address: SocketAddr, cores: usize) -> anyhow::Result<Vec<TcpListener>> {
    // A second SO_REUSEPORT bind succeeds silently and would share another program's connections; a plain one fails.
    drop(TcpListener::bind(address).map_err(|error| in_words(address, &error))?);
    let first = bind_shared(address).map_err(|errno| in_words(address, &errno.into()))?;
    let bound = first.local_addr().context("reading the bound address")?;
    let mut listeners = vec![first];
    for _ in 1..cores {
        listeners.push(bind_shared(bound).map_err(|errno| in_words(bound, &errno.into()))?);
    }
    Ok(listeners)
}

fn in_words(address: SocketAddr, error: &std::io::Error) -> anyhow::Error {
    let port = address.port();
    match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {port} on {} is in use by another program; `ss -ltnp sport = :{port}` names it. Stop it, or listen elsewhere",
            address.ip()
        ),
        std::io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("port {port} needs root to listen on; start as root, or choose a port above 1023")
        }
        std::io::ErrorKind::AddrNotAvailable => anyhow::anyhow!("{} is not an address of this machine", address.ip()),
        _ => anyhow::anyhow!("cannot listen on {address}: {error}"),
    }
}

fn bind_shared(address: SocketAddr) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket(family, SockType::Stream, flags, None)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::ReusePort, &true)?;
    // Linux gives these to every accepted socket, which saves a call per connection. Without the first, small writes
    // wait for the client's acknowledgements; with the others, a tunnel whose client has vanished ends.
    setsockopt(&fd, sockopt::TcpNoDelay, &true)?;
    setsockopt(&fd, sockopt::KeepAlive, &true)?;
    setsockopt(&fd, sockopt::TcpKeepIdle, &KEEPALIVE_SECONDS)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
    listen(&fd, Backlog::new(BACKLOG)?)?;
    Ok(TcpListener::from(fd))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn want(address: SocketAddr) -> Listen {
        Listen { address, optional: false }
    }

    #[test]
    fn a_port_in_use_is_named_even_where_the_other_shares_it() {
        let any = "127.0.0.1:0".parse().expect("address");
        let other = listeners(&[want(any)], 2, Vec::new()).expect("bound");
        let address = other[0].local_addr().expect("address");
        assert_eq!(other[1].local_addr().expect("address"), address);
        let _client = std::net::TcpStream::connect(address).expect("connects");
        let accepted = other.iter().find_map(|listener| listener.accept().ok()).expect("on one of them").0;
        assert!(accepted.nodelay().expect("readable"), "accepted sockets have the listener's options");
        let error = listeners(&[want(address)], 1, Vec::new()).expect_err("in use").to_string();
        assert!(error.starts_with(&format!("port {} on 127.0.0.1 is in use by another program", address.port())), "{error}");
        let optional = Listen { address, optional: true };
        assert!(listeners(&[optional], 1, Vec::new()).expect("skipped").is_empty());
    }

    #[test]
    fn received_sockets_are_kept_and_missing_ones_bound() {
        let any = "127.0.0.1:0".parse().expect("address");
        let received = listeners(&[want(any)], 2, Vec::new()).expect("bound");
        let address = received[0].local_addr().expect("address");
        let now = listeners(&[want(address), want("[::1]:0".parse().expect("address"))], 2, received).expect("bound");
        let kept = now.iter().filter(|listener| listener.local_addr().is_ok_and(|a| a == address)).count();
        assert_eq!((kept, now.len()), (2, 4));
    }
}
