//! Names people choose: apps, nodes, teams, hosts and environment keys.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a text is not a valid name. The message is a sentence a user reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(pub String);

/// App names that would shadow hosts of the platform itself.
pub const RESERVED_APP_NAMES: &[&str] =
    &["admin", "api", "apps", "auth", "dash", "dashboard", "dinp", "login", "mail", "ns", "registry", "router", "status", "www"];

/// Checks one DNS label (RFC 1123): 1 to 63 of `a-z`, `0-9` and `-`, not at either end.
fn dns_label(what: &str, text: &str) -> Result<(), InvalidName> {
    let fail = |why: String| Err(InvalidName(why));
    if text.is_empty() {
        return fail(format!("{what} is empty; use 1 to 63 lowercase letters, digits and hyphens"));
    }
    if text.len() > 63 {
        return fail(format!("{what} has {} characters; a DNS label has at most 63", text.len()));
    }
    if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
        let hint = if bad.is_ascii_uppercase() { "; use lowercase" } else { "" };
        return fail(format!("{what} \"{text}\" contains {bad:?}; only a-z, 0-9 and '-' can stand in a host name{hint}"));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return fail(format!("{what} \"{text}\" begins or ends with '-'"));
    }
    Ok(())
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        // A copy shares the text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> Result<(), InvalidName> = $check;
                check(text)?;
                Ok(Self(text.into()))
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::parse(text)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_newtype;

text_newtype!(
    /// An app: one DNS label, so that `<app>.<domain>` is a host name; not one of [`RESERVED_APP_NAMES`].
    AppName,
    |text| {
        dns_label("the app name", text)?;
        if text.len() > crate::limits::APP_NAME_LENGTH {
            return Err(InvalidName(format!(
                "the app name has {} characters; at most {} fit beside the instance id in a container's name",
                text.len(),
                crate::limits::APP_NAME_LENGTH
            )));
        }
        if RESERVED_APP_NAMES.contains(&text) {
            return Err(InvalidName(format!("\"{text}\" is reserved for the platform; choose another name")));
        }
        Ok(())
    }
);
text_newtype!(
    /// A node: the name of one agent, never its address.
    NodeName,
    |text| dns_label("the node name", text)
);
text_newtype!(
    /// A team. Only `default` exists today.
    TeamName,
    |text| dns_label("the team name", text)
);
text_newtype!(
    /// A cluster: drawn at random when the store is created, so that two installations on one machine never mix.
    ClusterId,
    |text| dns_label("the cluster id", text)
);
text_newtype!(
    /// A router process, drawn at random at its first start and kept with its table.
    RouterId,
    |text| dns_label("the router id", text)
);
text_newtype!(
    /// A host name without a port, lowercase: 1 to 253 characters of DNS labels.
    Host,
    |text| {
        if text.is_empty() || text.len() > 253 {
            return Err(InvalidName(format!("a host name has 1 to 253 characters, not {}", text.len())));
        }
        text.split('.').try_for_each(|label| dns_label("a part of the host name", label))
    }
);
text_newtype!(
    /// An environment variable's name: a letter or `_`, then letters, digits and `_`.
    EnvKey,
    |text| {
        let mut chars = text.chars();
        let first_ok = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if !first_ok || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') || text.len() > 256 {
            return Err(InvalidName(format!(
                "\"{text}\" is not a variable name: a letter or _, then letters, digits and _"
            )));
        }
        if PLATFORM_ENV.contains(&text) {
            return Err(InvalidName(format!("{text} is set by the platform for every instance and cannot be changed")));
        }
        Ok(())
    }
);

/// Variables every instance gets from the platform; nobody else may set them.
pub const PLATFORM_ENV: &[&str] = &["PORT", "APP_NAME", "INSTANCE_ID", "INSTANCE_INDEX", "NODE_NAME", "HOST_IP", "RELEASE"];

impl TeamName {
    /// The one team there is until teams arrive.
    pub fn default_team() -> Self {
        Self("default".into())
    }
}

impl AppName {
    /// Suggests a name from a file's name: `Shop-2.3.1.war` gives `shop`.
    pub fn suggest(file_name: &str) -> Option<Self> {
        let base = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name).to_lowercase();
        let base = base.split('.').next().unwrap_or_default();
        let mut label = String::new();
        for part in base.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
            if !label.is_empty() && part.chars().all(|c| c.is_ascii_digit()) {
                break;
            }
            if !label.is_empty() {
                label.push('-');
            }
            label.push_str(part);
        }
        label.truncate(crate::limits::APP_NAME_LENGTH);
        Self::parse(label.trim_matches('-')).ok()
    }
}

#[cfg(test)]
mod tests;
