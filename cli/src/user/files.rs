//! What is remembered between two commands: the server's address, and the token for it.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::failure::{Exit, Failure};
use super::words;

/// `config.toml`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The server commands go to.
    pub url: Option<String>,
}

/// `credentials.toml`, which only its owner may read.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The token for each server's address.
    #[serde(default)]
    pub tokens: BTreeMap<String, String>,
}

/// The folder both are in: `$XDG_CONFIG_HOME/dinp`, else `~/.config/dinp`.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    pub fn of_user() -> Result<Self, Failure> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        match base {
            Some(base) => Ok(Self { folder: base.join("dinp") }),
            None => Err(Failure::new(Exit::Failed, words::NO_HOME)),
        }
    }

    /// Those of somebody else, for `dinp up`, which logs in the person behind sudo.
    #[cfg(feature = "daemons")]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub fn config(&self) -> Result<Config, Failure> {
        read(&self.folder.join("config.toml"))
    }

    pub fn credentials(&self) -> Result<Credentials, Failure> {
        read(&self.folder.join("credentials.toml"))
    }

    pub fn save_config(&self, config: &Config) -> Result<(), Failure> {
        self.save("config.toml", config)
    }

    pub fn save_credentials(&self, credentials: &Credentials) -> Result<(), Failure> {
        self.save("credentials.toml", credentials)
    }

    /// A reader sees the old file or the new one, and nobody else ever reads either.
    fn save(&self, name: &str, content: &impl Serialize) -> Result<(), Failure> {
        let path = self.folder.join(name);
        let write = || -> io::Result<()> {
            let text = toml::to_string(content).map_err(io::Error::other)?;
            DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
            let draft = self.folder.join(format!(".{name}.{}", std::process::id()));
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
            file.write_all(text.as_bytes()).and_then(|()| fs::rename(&draft, &path)).inspect_err(|_| {
                let _ = fs::remove_file(&draft);
            })
        };
        write().map_err(|error| Failure::new(Exit::Failed, words::cannot_write(&path, &error)))
    }
}

/// A file that does not exist says nothing; one that cannot be read is an error.
fn read<T: DeserializeOwned + Default>(path: &Path) -> Result<T, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => return Err(Failure::usage(words::cannot_read(path, &error))),
    };
    // The text may hold tokens, so the parser's own excerpt of it is left out.
    toml::from_str(&text).map_err(|error| Failure::usage(format!("{}: {}", path.display(), error.message())).fix(words::FIX_FILE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_kept_where_only_its_owner_reads_it() {
        let home = tempfile::tempdir().expect("a folder");
        let files = Files { folder: home.path().join("dinp") };
        assert!(files.credentials().expect("nothing yet").tokens.is_empty());
        let mut credentials = Credentials::default();
        credentials.tokens.insert("http://127.0.0.1:8081".to_owned(), "secret".to_owned());
        files.save_credentials(&credentials).expect("saves");
        files.save_credentials(&credentials).expect("saves again");
        let mode = |name: &str| fs::metadata(files.folder.join(name)).expect("exists").permissions().mode() & 0o777;
        assert_eq!((mode("credentials.toml"), mode(".")), (0o600, 0o700));
        assert_eq!(files.credentials().expect("reads").tokens["http://127.0.0.1:8081"], "secret");
        assert_eq!(fs::read_dir(&files.folder).expect("lists").count(), 1, "no draft is left");
        fs::write(files.folder.join("config.toml"), "urll = 1").expect("writes");
        assert!(files.config().is_err());
    }
}
