//! Memory sizes with their unit, and shares of a processor.

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

/// Processor time in thousandths of one processor. In text it is a number of processors: `0.5`, `2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schema(value_type = f64, example = 0.5)]
pub struct Cpu(pub u32);

impl Cpu {
    /// More processors than any machine has.
    const MOST: f64 = 1_024.0;

    /// All of so many processors.
    pub fn whole(processors: u32) -> Self {
        Self(processors.saturating_mul(1_000))
    }

    fn of(processors: f64) -> Option<Self> {
        let thousandths = (processors * 1_000.0).round();
        // A share is written with up to three decimals; what differs from its rounding has more.
        let whole = (processors * 1_000.0 - thousandths).abs() < 1e-6;
        (whole && (1.0..=Self::MOST * 1_000.0).contains(&thousandths)).then_some(Self(thousandths as u32))
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&f64::from(*self).to_string())
    }
}

impl TryFrom<f64> for Cpu {
    type Error = InvalidName;
    fn try_from(processors: f64) -> Result<Self, InvalidName> {
        Self::of(processors).ok_or_else(|| {
            InvalidName(format!("{processors} is not a share of processors; write for example 0.5, from 0.001 to {}", Self::MOST))
        })
    }
}

impl From<Cpu> for f64 {
    fn from(cpu: Cpu) -> f64 {
        f64::from(cpu.0) / 1_000.0
    }
}

impl std::str::FromStr for Cpu {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let number = text.trim().parse::<f64>();
        number.map_err(|_| InvalidName(format!("\"{text}\" is not a number of processors; write for example 0.5")))?.try_into()
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
    fn shares_of_a_processor_have_three_decimals() {
        assert_eq!("0.5".parse(), Ok(Cpu(500)));
        assert_eq!((Cpu(500).to_string(), Cpu(2_000).to_string(), Cpu::whole(2)), ("0.5".into(), "2".into(), Cpu(2_000)));
        assert_eq!(serde_json::from_str::<Cpu>("1.25").expect("a number"), Cpu(1_250));
        for bad in ["0", "-1", "0.0001", "NaN", "inf", "1e9", "half"] {
            assert!(bad.parse::<Cpu>().is_err(), "{bad}");
        }
    }

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
