//! Configuration: one TOML file, then the environment, all errors at once.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the configuration file {path} cannot be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration is not valid ({from}): {why}")]
    Invalid { from: String, why: String },
}

/// Reads `file`, if given, and lays the environment over it: `DINP_SERVER_LISTEN=...` sets `listen` for the prefix
/// `DINP_SERVER_`. A value that reads as TOML (a number, a flag, a list) is one; anything else is text. A named file
/// that does not exist is an error, and so is an unknown key, wherever it comes from.
pub fn load<T: DeserializeOwned>(file: Option<&Path>, env_prefix: &str) -> Result<T, ConfigError> {
    let mut table = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
            // Parsed once as `T` alone for errors with line and column.
            toml::from_str::<toml::Table>(&text)
                .map_err(|error| ConfigError::Invalid { from: path.display().to_string(), why: error.to_string() })?
        }
        None => toml::Table::new(),
    };
    let mut from = file.map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
    for (key, value) in std::env::vars().filter(|(key, _)| key.starts_with(env_prefix)) {
        table.insert(key[env_prefix.len()..].to_lowercase(), literal(&value));
        from = format!("{from}, {key}");
    }
    T::deserialize(toml::Value::Table(table)).map_err(|error| ConfigError::Invalid { from, why: error.to_string() })
}

fn literal(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        listen: String,
        cores: u32,
    }

    impl Default for Sample {
        fn default() -> Self {
            Self { listen: "127.0.0.1:1".into(), cores: 2 }
        }
    }

    #[test]
    fn a_named_file_must_exist_and_unknown_keys_are_refused() {
        assert_eq!(load::<Sample>(None, "DINP_NOTHING_").expect("defaults"), Sample::default());
        assert!(matches!(load::<Sample>(Some(Path::new("/nonexistent.toml")), "X_"), Err(ConfigError::Read { .. })));
        let error = toml::from_str::<Sample>("listn = 1").expect_err("typo");
        assert!(error.to_string().contains("unknown field `listn`"));
    }

    #[test]
    fn environment_values_are_literals_or_text() {
        assert_eq!(literal("3"), toml::Value::Integer(3));
        assert_eq!(literal("127.0.0.1:80"), toml::Value::String("127.0.0.1:80".into()));
        assert_eq!(literal("[\"a\"]"), toml::Value::Array(vec!["a".into()]));
    }
}
