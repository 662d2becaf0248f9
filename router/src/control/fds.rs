//! Descriptors over a unix socket (unix(7), SCM_RIGHTS). The only file of the router with unsafe code.
#![allow(unsafe_code)]

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// The kernel passes at most this many at once.
pub const MOST: usize = 253;
/// The one byte that carries them.
const CARRIER: u8 = b'L';

/// Sends `fds` with one byte. The other side gets descriptors of the same open sockets.
pub fn send(socket: &impl AsRawFd, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let message = [ControlMessage::ScmRights(&raw)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&[CARRIER])], &message, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Receives what [`send`] sent; empty if the other side closed or sent something else.
pub fn receive(socket: &impl AsRawFd) -> Result<Vec<OwnedFd>, Errno> {
    let mut byte = [0u8; 1];
    let mut space = nix::cmsg_space!([RawFd; MOST]);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just installed these descriptors in this process, and nothing else knows them.
            fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok(fds)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_passed_socket_is_the_same_socket() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        send(&here, &[listener.as_fd(), here.as_fd()]).expect("sent");
        let received = receive(&there).expect("received");
        assert_eq!(received.len(), 2);
        let twin = std::net::TcpListener::from(received.into_iter().next().expect("first"));
        assert_eq!(twin.local_addr().expect("address"), listener.local_addr().expect("address"));
        drop(here);
        assert!(receive(&there).expect("closed").is_empty());
    }
}
