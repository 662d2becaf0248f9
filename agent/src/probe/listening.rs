//! Where the processes of a container listen, read from outside.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Docker's name server in every container.
const DOCKER_DNS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
/// `TCP_LISTEN` of the kernel's `tcp_states.h`.
const LISTEN: &str = "0A";

/// The TCP sockets that listen in the network namespace of a process.
pub fn of_process(pid: i64) -> Vec<SocketAddr> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
    let all: BTreeSet<SocketAddr> = listening(&read("tcp")).chain(listening(&read("tcp6"))).collect();
    all.into_iter().filter(|address| address.ip() != DOCKER_DNS).collect()
}

/// The format is that of proc(5), `/proc/net/tcp`: hexadecimal addresses in words of the host's byte order.
fn listening(text: &str) -> impl Iterator<Item = SocketAddr> {
    text.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next()?;
        let state = fields.nth(1)?;
        let (address, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (state == LISTEN).then_some(())?;
        Some(SocketAddr::new(ip(address)?, port))
    })
}

fn ip(hex: &str) -> Option<IpAddr> {
    let word = |index: usize| Some(u32::from_str_radix(hex.get(index * 8..index * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(IpAddr::V4(word(0)?.into())),
        32 => {
            let mut bytes = [0u8; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_read_as_the_kernel_prints_them() {
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
                   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0\n\
                   1: 0200000A:1F90 0300000A:9999 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0\n";
        assert_eq!(listening(tcp).collect::<Vec<_>>(), ["127.0.0.1:5000".parse().expect("address")]);
        let tcp6 = "  sl  local_address\n\
                    0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 0 0 0\n\
                    1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0 0 0\n";
        let expected: Vec<SocketAddr> = vec!["[::]:8080".parse().expect("address"), "[::1]:80".parse().expect("address")];
        assert_eq!(listening(tcp6).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_listener_of_this_process_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("address");
        assert!(of_process(std::process::id().into()).contains(&address));
    }
}
