//! Where an app's instances may stand: what a node must have, and how many may share one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::InvalidName;

/// Characters in a label's key, a label's value or a zone, as Kubernetes bounds its labels.
const WORD_LENGTH: usize = 63;

/// What an app asks of the nodes its instances stand on. Nothing asked: any node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Labels the node must have, each with this value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The node stands in one of these zones; any, where none is named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub zones: BTreeSet<String>,
    /// Instances of one release that may share a node. Old and new ones stand side by side while one replaces the
    /// other, so that as many nodes as instances are enough for a rolling deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_node: Option<u32>,
}

/// One requirement as people write it: `disk=ssd`, `zone=a` or `zone in a,b`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Requirement {
    Label(String, String),
    Zones(BTreeSet<String>),
}

impl Placement {
    /// Nothing is asked of a node.
    pub fn is_anywhere(&self) -> bool {
        *self == Self::default()
    }

    /// What several requirements ask together. Zones named twice narrow each other, and a label has one value.
    pub fn requiring(requirements: impl IntoIterator<Item = Requirement>) -> Result<Self, InvalidName> {
        let mut placement = Self::default();
        for requirement in requirements {
            match requirement {
                Requirement::Label(key, value) => match placement.labels.insert(key.clone(), value.clone()) {
                    Some(other) if other != value => {
                        let why = format!("{key}={other} and {key}={value} contradict each other: a label has one value");
                        return Err(InvalidName(why));
                    }
                    Some(_) | None => {}
                },
                Requirement::Zones(zones) if placement.zones.is_empty() => placement.zones = zones,
                Requirement::Zones(zones) => {
                    let both: BTreeSet<String> = placement.zones.intersection(&zones).cloned().collect();
                    if both.is_empty() {
                        return Err(InvalidName("no zone is in both lists of zones".to_owned()));
                    }
                    placement.zones = both;
                }
            }
        }
        Ok(placement)
    }

    /// Whether every word of it could stand on a node at all.
    pub fn check(&self) -> Result<(), InvalidName> {
        self.labels
            .iter()
            .try_for_each(|(key, value)| word("a label's key", key).and_then(|()| word("a label's value", value)))?;
        self.zones.iter().try_for_each(|zone| word("a zone", zone))?;
        match self.per_node {
            Some(0) => Err(InvalidName("per_node is 0; at least one instance must be allowed on a node".to_owned())),
            Some(_) | None => Ok(()),
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> = self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if !self.zones.is_empty() {
            words.push(format!("zone in {}", self.zones.iter().cloned().collect::<Vec<_>>().join(",")));
        }
        words.extend(self.per_node.map(|n| format!("at most {n} on a node")));
        f.pad(&if words.is_empty() { "any node".to_owned() } else { words.join(", ") })
    }
}

impl Requirement {
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        if let Some(zones) = text.strip_prefix("zone in ").or_else(|| text.strip_prefix("zone=")) {
            let zones: BTreeSet<String> = zones.split(',').map(|zone| zone.trim().to_owned()).collect();
            zones.iter().try_for_each(|zone| word("a zone", zone))?;
            return Ok(Self::Zones(zones));
        }
        let Some((key, value)) = text.split_once('=') else {
            let why = format!("\"{text}\" is not a requirement; write for example disk=ssd, zone=a or \"zone in a,b\"");
            return Err(InvalidName(why));
        };
        let (key, value) = (key.trim(), value.trim());
        word("a label's key", key)?;
        word("a label's value", value)?;
        Ok(Self::Label(key.to_owned(), value.to_owned()))
    }
}

impl std::str::FromStr for Requirement {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Requirement {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

fn word(what: &str, text: &str) -> Result<(), InvalidName> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if text.is_empty() || text.len() > WORD_LENGTH || !text.chars().all(plain) {
        let why = format!("\"{text}\" is not {what}: 1 to {WORD_LENGTH} letters, digits, '-', '_', '.' and '/'");
        return Err(InvalidName(why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requiring(texts: &[&str]) -> Result<Placement, InvalidName> {
        Placement::requiring(texts.iter().map(|text| Requirement::parse(text).expect("a requirement")))
    }

    #[test]
    fn requirements_read_as_they_are_written() {
        let placement = requiring(&["disk=ssd", "zone in a, b", "gpu=yes"]).expect("possible together");
        assert_eq!(placement.to_string(), "disk=ssd, gpu=yes, zone in a,b");
        assert_eq!(requiring(&["zone in a,b", "zone=b"]).expect("possible").zones, BTreeSet::from(["b".to_owned()]));
        assert_eq!(Placement { per_node: Some(1), ..Placement::default() }.to_string(), "at most 1 on a node");
    }

    #[test]
    fn what_no_node_can_be_is_refused() {
        assert!(requiring(&["disk=ssd", "disk=hdd"]).expect_err("one value").to_string().contains("contradict"));
        assert!(requiring(&["zone=a", "zone=b"]).expect_err("two zones").to_string().contains("both lists"));
        for bad in ["ssd", "=ssd", "disk=", "zone in ", "disk=s s d"] {
            assert!(Requirement::parse(bad).is_err(), "{bad}");
        }
        assert!(Placement { per_node: Some(0), ..Placement::default() }.check().is_err());
    }
}
