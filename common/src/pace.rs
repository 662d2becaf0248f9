//! How many instances of an app a rolling deploy may start beside those wanted, and do without.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits;
use crate::name::InvalidName;

/// A number of instances, or a part of those wanted. In text: `2`, `25%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub enum Share {
    Count(u32),
    Percent(u32),
}

/// A number may be written without quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(u32),
    Text(String),
}

/// What an app's people say of it; where they say nothing, the cluster's policy holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pace {
    /// Instances beyond those wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "25%")]
    pub max_surge: Option<Share>,
    /// Instances that may be missing; never the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "25%")]
    pub max_unavailable: Option<Share>,
}

impl Share {
    /// Of so many, a part of one taken for one.
    pub fn of_at_least(self, wanted: u32) -> u32 {
        match self {
            Self::Count(n) => n,
            Self::Percent(percent) => (wanted * percent).div_ceil(100),
        }
    }

    /// Of so many, a part of one taken for none.
    pub fn of_at_most(self, wanted: u32) -> u32 {
        match self {
            Self::Count(n) => n,
            Self::Percent(percent) => wanted * percent / 100,
        }
    }

    fn checked(self, text: impl fmt::Display) -> Result<Self, InvalidName> {
        let (Self::Count(n) | Self::Percent(n), most) = (self, self.most());
        if n <= most { Ok(self) } else { Err(InvalidName(format!("{text} is too much; at most {most} is possible"))) }
    }

    fn most(self) -> u32 {
        match self {
            Self::Count(_) => limits::INSTANCES_PER_APP,
            Self::Percent(_) => 100,
        }
    }
}

impl Pace {
    /// This, with what `newer` says instead.
    pub fn with(self, newer: Self) -> Self {
        Self { max_surge: newer.max_surge.or(self.max_surge), max_unavailable: newer.max_unavailable.or(self.max_unavailable) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(n) => f.pad(&n.to_string()),
            Self::Percent(n) => f.pad(&format!("{n}%")),
        }
    }
}

impl FromStr for Share {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        let number = |digits: &str| {
            let unreadable = || InvalidName(format!("\"{text}\" is no share of instances; write for example 2 or 25%"));
            digits.parse::<u32>().map_err(|_| unreadable())
        };
        match text.strip_suffix('%') {
            Some(digits) => Self::Percent(number(digits)?).checked(text),
            None => Self::Count(number(text)?).checked(text),
        }
    }
}

impl TryFrom<Written> for Share {
    type Error = InvalidName;

    fn try_from(written: Written) -> Result<Self, InvalidName> {
        match written {
            Written::Number(n) => Self::Count(n).checked(n),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Share> for String {
    fn from(share: Share) -> String {
        share.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_or_a_part_and_reads_back_as_it_was_written() {
        for (text, of_ten) in [("2", (2, 2)), ("25%", (3, 2)), ("0", (0, 0)), ("100%", (10, 10))] {
            let share: Share = text.parse().expect(text);
            assert_eq!((share.of_at_least(10), share.of_at_most(10)), of_ten, "{text}");
            let json = serde_json::to_string(&share).expect("encodes");
            assert_eq!((json.as_str(), serde_json::from_str::<Share>(&json).ok()), (&*format!("\"{text}\""), Some(share)));
        }
        assert_eq!(serde_json::from_str::<Share>("3").ok(), Some(Share::Count(3)));
        for bad in ["", "%", "-1", "101%", "1001", "half", "1.5"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_said_anew_stays() {
        let pace = |surge: &str, unavailable: Option<&str>| Pace {
            max_surge: surge.parse().ok(),
            max_unavailable: unavailable.and_then(|text| text.parse().ok()),
        };
        assert_eq!(pace("2", None).with(pace("0", Some("1"))), pace("0", Some("1")));
        assert_eq!(pace("2", Some("1")).with(Pace::default()), pace("2", Some("1")));
    }
}
