//! Is a port free, and if not, whose is it?

use std::fs;
use std::net::{SocketAddr, TcpListener};

use anyhow::{Result, bail};

/// Fails with the owner's name if somebody listens on `address`. A plain bind tells: it is refused beside any
/// listener, while one with SO_REUSEPORT, as the router makes, would silently share the port.
pub fn must_be_free(address: SocketAddr, what: &str, option: &str) -> Result<()> {
    let Err(error) = TcpListener::bind(address) else {
        return Ok(());
    };
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let owner = owner(address.port()).map_or_else(|| "another process".to_owned(), |owner| owner.to_string());
            bail!(
                "port {} is taken by {owner}, and {what} needs it\n  try:  stop it, or choose another address with {option} {}:PORT",
                address.port(),
                address.ip()
            )
        }
        std::io::ErrorKind::AddrNotAvailable => {
            bail!("{address} is not an address of this machine\n  try:  {option} 0.0.0.0:{}", address.port())
        }
        std::io::ErrorKind::PermissionDenied => bail!("{address} needs root, since its port is below 1024"),
        _ => bail!("{what} cannot listen on {address}: {error}"),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Owner {
    pid: u32,
    name: String,
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// Who listens on `port`, as far as this user may see.
fn owner(port: u16) -> Option<Owner> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listeners(&table, port))
        .collect();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors.flatten().any(|fd| {
            fs::read_link(fd.path()).is_ok_and(|target| {
                target
                    .to_str()
                    .and_then(|t| t.strip_prefix("socket:[")?.strip_suffix(']'))
                    .is_some_and(|inode| inodes.iter().any(|listening| listening == inode))
            })
        });
        if holds {
            let name = fs::read_to_string(process.path().join("comm")).ok()?.trim().to_owned();
            return Some(Owner { pid, name });
        }
    }
    None
}

/// Inodes of the sockets that listen on `port`, from the text of `/proc/net/tcp`: state 0A, local address as
/// hexadecimal `IP:PORT`.
fn listeners(table: &str, port: u16) -> Vec<String> {
    let wanted = format!("{port:04X}");
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let local = fields.get(1)?.rsplit_once(':')?.1;
            (local == wanted && *fields.get(3)? == "0A").then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_refused_with_its_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        let error = must_be_free(address, "the router", "--listen").expect_err("taken").to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
        assert!(error.contains("--listen 127.0.0.1:PORT"), "{error}");
        drop(listener);
        must_be_free(address, "the router", "--listen").expect("free again");
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let error = must_be_free("192.0.2.250:9".parse().expect("address"), "the router", "--listen").expect_err("foreign");
        assert!(error.to_string().contains("not an address of this machine"), "{error}");
    }
}
