//! One container of one release on one node.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::exit::Exit;
use crate::health::Health;
use crate::name::{AppName, ClusterId, InvalidName, NodeName};
use crate::release::ReleaseNo;

/// An instance's name within the cluster: six characters, made from a counter and so never given twice. It lies within
/// itself, not on the heap: a pass looks at hundreds of thousands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct InstanceId(
    /// Filled up with zeros, so that the order is that of the texts.
    [u8; InstanceId::MOST],
);

/// Crockford's alphabet without the letters people misread.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Takes back the multiplication of [`InstanceId::permuted`]: 0x2545_f491 times this is 1 modulo 2^30.
const UNMULTIPLIED: u64 = 0x0144_4c71;

impl InstanceId {
    const MOST: usize = 12;

    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if plain && (1..=Self::MOST).contains(&text.len()) {
            Ok(Self::of(text.as_bytes()))
        } else {
            Err(InvalidName(format!("\"{text}\" is not an instance id")))
        }
    }

    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(Self::MOST);
        std::str::from_utf8(&self.0[..length]).expect("an id is ASCII")
    }

    /// `text` is at most [`Self::MOST`] bytes of ASCII.
    fn of(text: &[u8]) -> Self {
        let mut id = [0; Self::MOST];
        id[..text.len()].copy_from_slice(text);
        Self(id)
    }

    /// The id of the `sequence`th instance of a cluster. Multiplying by an odd number permutes 2^30 values, so ids
    /// that follow each other look unlike, and none comes twice before a billion. The cluster's name turns the
    /// permutation, so that two installations that share a Docker engine do not ask for the same container names.
    pub fn new(cluster: &ClusterId, sequence: u64) -> Self {
        Self::permuted(sequence.wrapping_add(salt(cluster)))
    }

    /// The id of the `sequence`th instance of a nameless cluster, for tests and simulations.
    pub fn from_sequence(sequence: u64) -> Self {
        Self::permuted(sequence)
    }

    /// How many instances the cluster began after this one, where `next` is the sequence number of the next. An id that
    /// was not made from a sequence is older than all others.
    pub fn age(&self, cluster: &ClusterId, next: u64) -> u64 {
        let digit = |byte: u8| ALPHABET.iter().position(|known| *known == byte).map(|digit| digit as u64);
        let text = self.as_str().as_bytes();
        let value = text.iter().try_fold(0u64, |value, byte| Some(value << 5 | digit(*byte)?));
        let Some(value) = value.filter(|_| text.len() == 6) else { return u64::MAX };
        let salted = (value ^ 0x15a5_5a5a).wrapping_mul(UNMULTIPLIED);
        next.wrapping_sub(salted.wrapping_sub(salt(cluster))) & 0x3fff_ffff
    }

    fn permuted(sequence: u64) -> Self {
        let mut value = (sequence.wrapping_mul(0x2545_f491) ^ 0x15a5_5a5a) & 0x3fff_ffff;
        let mut text = [0u8; 6];
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[(value & 31) as usize];
            value >>= 5;
        }
        Self::of(&text)
    }
}

/// FNV-1a: any mixing of the name will do, as long as every server does the same.
fn salt(cluster: &ClusterId) -> u64 {
    cluster.as_str().bytes().fold(0x811c_9dc5_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0193))
}

impl TryFrom<String> for InstanceId {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> String {
        id.as_str().to_owned()
    }
}

impl std::str::FromStr for InstanceId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The container's name: `dinp-<app>-<instance>`.
pub fn container_name(app: &AppName, instance: &InstanceId) -> String {
    format!("dinp-{app}-{instance}")
}

/// What the leader has decided about an instance. Only ever moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// It should run, and take traffic once it is healthy.
    Run,
    /// It leaves the routes and finishes what it has in flight.
    Drain,
    /// It is to be stopped and removed.
    Stop,
}

impl Want {
    pub fn as_str(self) -> &'static str {
        match self {
            Want::Run => "run",
            Want::Drain => "drain",
            Want::Stop => "stop",
        }
    }
}

impl std::str::FromStr for Want {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        [Want::Run, Want::Drain, Want::Stop]
            .into_iter()
            .find(|want| want.as_str() == text)
            .ok_or_else(|| InvalidName(format!("\"{text}\" is not a wanted state")))
    }
}

/// An instance as it is decided and stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    pub id: InstanceId,
    pub app: AppName,
    pub release: ReleaseNo,
    /// A restart makes instances of the same release with a higher generation.
    pub generation: u32,
    pub node: NodeName,
    /// 0 to N-1 among the app's instances.
    pub index: u32,
    pub want: Want,
    /// It has been healthy once, and so has been in the routes.
    pub proven: bool,
    /// Milliseconds in its present phase: since it was assigned until proven, then unhealthy, draining or stopping.
    pub spent_ms: u64,
    /// Its address, once an agent has said it.
    pub address: Option<SocketAddr>,
    /// Why it is where it is: the last decision about it, in words.
    pub reason: String,
}

impl Instance {
    /// Whether `address`, where it is seen now, is another one than it was proven at.
    pub fn moved_to(&self, address: SocketAddr) -> bool {
        self.address.is_some_and(|proven| proven != address)
    }
}

/// What an agent sees of an instance assigned to it. Every assigned instance is in every full report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Seen {
    /// Not created yet; `step` says what it waits for, in words (`waiting for the image`).
    Pending { step: String },
    /// Its container runs.
    Running { address: SocketAddr, health: Health },
    /// The container ended and was not asked to. `listening` as in [`Seen::Failed`].
    Exited { exit: Exit },
    /// It could not be created or started; another try on the same node is pointless until something changes.
    Failed { why: String },
    /// SIGTERM was sent; it still exists.
    Stopping,
    /// No container of this name exists, and none will be created.
    Gone,
}

/// The status word of an instance, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum InstanceStatus {
    Pending,
    Starting,
    Running,
    Unhealthy,
    Draining,
    Stopped,
    Failed,
    Lost,
}

impl InstanceStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Unhealthy => "Unhealthy",
            Self::Draining => "Draining",
            Self::Stopped => "Stopped",
            Self::Failed => "Failed",
            Self::Lost => "Lost",
        }
    }
}

impl fmt::Display for InstanceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_repeat() {
        let ids: std::collections::BTreeSet<_> = (0..100_000).map(InstanceId::from_sequence).collect();
        assert_eq!(ids.len(), 100_000);
        let cluster = |name| ClusterId::parse(name).expect("cluster");
        assert_ne!(InstanceId::new(&cluster("a"), 1), InstanceId::new(&cluster("b"), 1));
        assert!(ids.iter().all(|id| InstanceId::parse(id.as_str()).as_ref() == Ok(id)));
        let texts: Vec<&str> = ids.iter().map(InstanceId::as_str).collect();
        assert!(texts.is_sorted(), "ids are ordered as their texts are");
        assert!(InstanceId::parse("ab").expect("id") < InstanceId::parse("ab0").expect("id"));
        assert!(["", "AB", "a-b", "1234567890123"].iter().all(|bad| InstanceId::parse(bad).is_err()));
    }

    #[test]
    fn an_id_tells_its_age() {
        for cluster in ["a", "production"].map(|name| ClusterId::parse(name).expect("cluster")) {
            for sequence in [0, 1, 77, 1 << 29, (1 << 30) - 1, 1 << 30, (1 << 40) + 5] {
                assert_eq!(InstanceId::new(&cluster, sequence).age(&cluster, sequence + 9), 9, "{sequence}");
            }
            assert_eq!(InstanceId::parse("other").expect("an id").age(&cluster, 5), u64::MAX);
        }
    }
}
