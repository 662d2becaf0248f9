//! Where the store is: `sqlite:/var/lib/dinp/state.db` or `mysql://user:password@host/database`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A store's address. `Debug` and `Display` never show a password.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// One file, with its journal beside it.
    Sqlite(PathBuf),
    /// MySQL or MariaDB, as `mysql://user:password@host:port/database`.
    MySql(String),
}

/// Why a text is not a store's address, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUrl(pub String);

impl StoreUrl {
    /// The address as sqlx reads it.
    pub(crate) fn for_driver(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", percent_encoded(path)),
            Self::MySql(url) => url.clone(),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') || path.contains('\0') {
                return Err(InvalidUrl("a SQLite store needs a file: sqlite:/var/lib/dinp/state.db".to_owned()));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        let Some(rest) = text.strip_prefix("mysql://").or_else(|| text.strip_prefix("mariadb://")) else {
            let scheme = text.split(':').next().unwrap_or_default();
            return Err(InvalidUrl(format!(
                "the store's address begins with \"{scheme}\"; write sqlite:/path/state.db or mysql://user:password@host/database"
            )));
        };
        match rest.rsplit('@').next().and_then(|host| host.split_once('/')) {
            Some((host, database)) if !host.is_empty() && !database.is_empty() && !database.starts_with('?') => {
                Ok(Self::MySql(format!("mysql://{rest}")))
            }
            _ => Err(InvalidUrl(
                "the store's address names no host or no database; write mysql://user:password@host/database".to_owned(),
            )),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::MySql(url) => {
                let rest = url.strip_prefix("mysql://").unwrap_or(url);
                let rest = rest.split('?').next().unwrap_or(rest);
                match rest.rsplit_once('@') {
                    Some((account, host)) => {
                        write!(f, "mysql://{}:***@{host}", account.split(':').next().unwrap_or_default())
                    }
                    None => write!(f, "mysql://{rest}"),
                }
            }
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A path with all but plain characters escaped, so that a `?` or `#` in it stays part of the name.
fn percent_encoded(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_');
    let escape = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.to_string_lossy().bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_passwords_never_show() {
        let file: StoreUrl = "sqlite:/var/lib/a b?.db".parse().expect("a file");
        assert_eq!(file.for_driver(), "sqlite:/var/lib/a%20b%3F.db");
        assert_eq!("sqlite:///x.db".parse(), Ok(StoreUrl::Sqlite("/x.db".into())));
        let server: StoreUrl = "mariadb://dinp:p@ss@db:3307/dinp?charset=x".parse().expect("a server");
        assert_eq!(format!("{server} {server:?}"), "mysql://dinp:***@db:3307/dinp mysql://dinp:***@db:3307/dinp");
        for bad in
            ["", "state.db", "sqlite:", "sqlite::memory:", "postgres://x/y", "mysql://host", "mysql://host/", "mysql:///db"]
        {
            assert!(bad.parse::<StoreUrl>().is_err(), "{bad}");
        }
    }
}
