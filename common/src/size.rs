//! Memory sizes with their unit.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::InvalidName;

/// An amount of memory in mebibytes. In text it always carries a unit: `256M`, `256MiB`, `1G`, `1.5GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, example = "256MiB")]
pub struct MiB(pub u64);

impl MiB {
    pub const fn bytes(self) -> u64 {
        self.0 * 1024 * 1024
    }

    /// Parses a size; a bare number is refused, since nobody agrees on what it counts.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let invalid = |why: &str| InvalidName(format!("\"{text}\" is not a memory size: {why}; write for example 256M or 1G"));
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "" => return Err(invalid("the unit is missing")),
            "m" | "mb" | "mib" => 1.0,
            "g" | "gb" | "gib" => 1024.0,
            _ => return Err(invalid("the unit is not M or G")),
        };
        let number: f64 = number.parse().map_err(|_| invalid("the number cannot be read"))?;
        let mib = number * factor;
        if mib.fract() != 0.0 || mib > 16_777_216.0 {
            return Err(invalid("it is not a whole number of MiB up to 16 TiB"));
        }
        Ok(Self(mib as u64))
    }
}

impl fmt::Display for MiB {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 1024 && self.0.is_multiple_of(1024) {
            f.pad(&format!("{}GiB", self.0 / 1024))
        } else {
            f.pad(&format!("{}MiB", self.0))
        }
    }
}

impl TryFrom<String> for MiB {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<MiB> for String {
    fn from(size: MiB) -> String {
        size.to_string()
    }
}

impl std::str::FromStr for MiB {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text)
    }
}

/// Bytes for people: `5.2 MB`, `812 kB`.
pub fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(MiB::parse("256M"), Ok(MiB(256)));
        assert_eq!(MiB::parse("1.5GiB"), Ok(MiB(1536)));
        assert_eq!(MiB(2048).to_string(), "2GiB");
        assert!(MiB::parse("256").expect_err("no unit").to_string().contains("unit is missing"));
        for bad in ["", "M", "-1M", "1.3M", "12T", "1e9G"] {
            assert!(MiB::parse(bad).is_err(), "{bad}");
        }
    }
}
