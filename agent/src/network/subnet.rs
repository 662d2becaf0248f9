//! The choice of a subnet, and what its addresses are for.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use anyhow::{Context, ensure};
use dinp_planner::agent::addresses::Range;
use serde::{Deserialize, Serialize};

/// 4,096 addresses: four for each of a node's 1,000 instances, so that a quarantine rarely runs dry.
const PREFIX: u8 = 20;
/// The first 256 of them are for the gateway and for Docker itself.
const DOCKERS_OWN_PREFIX: u8 = 24;
const DOCKERS_OWN: u32 = 1 << (32 - DOCKERS_OWN_PREFIX);

/// Any IPv4 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    first: u32,
    prefix: u8,
}

/// The instances' network: a /20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet(Block);

impl Block {
    fn new(address: u32, prefix: u8) -> Self {
        Self { first: address & mask(prefix), prefix }
    }

    fn overlaps(self, other: Self) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.first & shorter == other.first & shorter
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Block {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (address, prefix) = text.split_once('/').with_context(|| format!("\"{text}\" is not a network"))?;
        let (address, prefix): (Ipv4Addr, u8) = (address.parse()?, prefix.parse()?);
        ensure!(prefix <= 32, "\"{text}\" is not a network");
        Ok(Self::new(address.into(), prefix))
    }
}

impl FromStr for Subnet {
    type Err = anyhow::Error;
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let block: Block = text.parse()?;
        ensure!(block.prefix == PREFIX, "our network has the subnet {text} where a /{PREFIX} is expected; remove it");
        Ok(Self(block))
    }
}

impl TryFrom<String> for Subnet {
    type Error = anyhow::Error;
    fn try_from(text: String) -> anyhow::Result<Self> {
        text.parse()
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{PREFIX}", Ipv4Addr::from(self.0.first))
    }
}

impl Subnet {
    /// The host's address on it.
    pub fn gateway(self) -> Ipv4Addr {
        (self.0.first + 1).into()
    }

    /// The part from which Docker may choose by itself.
    pub fn dockers_own(self) -> String {
        format!("{}/{DOCKERS_OWN_PREFIX}", Ipv4Addr::from(self.0.first))
    }

    /// The addresses for instances: all others but the broadcast address.
    pub fn instances(self) -> Range {
        Range { first: (self.0.first + DOCKERS_OWN).into(), last: ((self.0.first | !mask(PREFIX)) - 1).into() }
    }
}

/// Subnets that overlap nothing taken: the kept one first, then private ranges from where few people look.
pub fn free(taken: &[Block], kept: Option<Subnet>) -> impl Iterator<Item = Subnet> {
    let ranges = [("10.128.0.0", 9), ("10.0.0.0", 9), ("172.16.0.0", 12), ("192.168.0.0", 16)];
    let all = ranges.into_iter().flat_map(|(first, prefix)| {
        let first = u32::from(first.parse::<Ipv4Addr>().unwrap_or(Ipv4Addr::UNSPECIFIED));
        (0..1u32 << (PREFIX - prefix)).rev().map(move |n| Subnet(Block::new(first + (n << (32 - PREFIX)), PREFIX)))
    });
    kept.into_iter().chain(all).filter(|subnet| !taken.iter().any(|block| block.overlaps(subnet.0)))
}

/// The destinations in `/proc/net/route` (proc(5)): hexadecimal in the host's byte order. The default route is none.
pub fn host_routes(text: &str) -> Vec<Block> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok().map(u32::from_be);
        let (destination, mask) = (number(1)?, number(7)?);
        (mask != 0).then(|| Block::new(destination, u8::try_from(mask.count_ones()).unwrap_or(32)))
    };
    text.lines().skip(1).filter_map(route).collect()
}

/// The name servers of resolv.conf(5). They are reached by the default route more often than not, so no route shows
/// them, and a subnet over one of them would leave the whole machine without names.
pub fn name_servers(text: &str) -> Vec<Block> {
    let server = |line: &str| line.trim().strip_prefix("nameserver")?.trim().parse::<Ipv4Addr>().ok();
    text.lines().filter_map(server).map(|address| Block::new(address.into(), 32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Block {
        text.parse().expect("a network")
    }

    #[test]
    fn a_taken_subnet_is_passed_over_and_the_kept_one_comes_first() {
        let first = free(&[], None).next().expect("free");
        assert_eq!(first.to_string(), "10.255.240.0/20");
        assert_eq!(free(&[block("10.255.0.0/16")], None).next().expect("free").to_string(), "10.254.240.0/20");
        assert_eq!(free(&[block("10.255.255.4/30")], None).next().expect("free").to_string(), "10.255.224.0/20");
        let kept: Subnet = "172.20.16.0/20".parse().expect("ours");
        assert_eq!(free(&[], Some(kept)).next(), Some(kept));
        assert_ne!(free(&[block("172.16.0.0/12")], Some(kept)).next(), Some(kept));
        assert_eq!(free(&[block("0.0.0.0/0")], None).next(), None);
    }

    #[test]
    fn instances_never_get_what_docker_hands_out() {
        let subnet: Subnet = "10.200.16.0/20".parse().expect("ours");
        assert_eq!(subnet.gateway().to_string(), "10.200.16.1");
        assert_eq!(subnet.dockers_own(), "10.200.16.0/24");
        let range = subnet.instances();
        assert_eq!((range.first.to_string(), range.last.to_string()), ("10.200.17.0".into(), "10.200.31.254".into()));
        assert!("10.0.0.0/16".parse::<Subnet>().is_err());
    }

    #[test]
    fn routes_are_read_as_the_kernel_prints_them() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                    eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        assert_eq!(host_routes(text), [block("172.17.0.0/16")]);
    }

    #[test]
    fn a_name_server_behind_the_default_route_is_left_reachable() {
        let servers =
            name_servers("# made by hand\nsearch example.com\nnameserver 10.255.255.53\nnameserver fe80::1\noptions edns0\n");
        assert_eq!(servers, [block("10.255.255.53/32")]);
        assert_eq!(free(&servers, None).next().expect("free").to_string(), "10.255.224.0/20");
    }
}
