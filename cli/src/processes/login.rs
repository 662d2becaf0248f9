//! Logs in whoever started the installation: root, and the person behind `sudo`.

use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use dinp_common::token::Token;
use nix::unistd::{User, getuid};

use crate::user::files::Files;

/// Keeps `token` for the server at `url` in the configuration of this process's user and of the one who called sudo.
pub fn remember(url: &str, token: &Token) -> Result<()> {
    for person in people() {
        keep(&person, url, token).with_context(|| format!("logging in {}", person.name))?;
    }
    Ok(())
}

/// Takes back what [`remember`] kept, and the files with it where nothing else is in them.
pub fn forget(url: &str) -> Result<()> {
    for person in people() {
        let folder = folder(&person);
        if !folder.exists() {
            continue;
        }
        let files = Files::in_folder(folder.clone());
        let (mut credentials, mut config) = (files.credentials()?, files.config()?);
        credentials.tokens.remove(url);
        if config.url.as_deref() == Some(url) {
            config.url = None;
        }
        if credentials.tokens.is_empty() && config.url.is_none() {
            std::fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
            continue;
        }
        files.save_credentials(&credentials)?;
        files.save_config(&config)?;
        own(&person)?;
    }
    Ok(())
}

fn keep(person: &User, url: &str, token: &Token) -> Result<()> {
    let files = Files::in_folder(folder(person));
    let mut credentials = files.credentials()?;
    if credentials.tokens.get(url).map(String::as_str) != Some(token.expose()) {
        credentials.tokens.insert(url.to_owned(), token.expose().to_owned());
        files.save_credentials(&credentials)?;
    }
    let mut config = files.config()?;
    if config.url.is_none() {
        config.url = Some(url.to_owned());
        files.save_config(&config)?;
    }
    own(person)
}

/// What root writes for somebody is to be theirs; what a link there points to is not.
fn own(person: &User) -> Result<()> {
    let folder = folder(person);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
    paths.push(folder.parent().map(Path::to_owned).unwrap_or_default());
    paths.push(folder);
    for path in paths {
        lchown(&path, Some(person.uid.as_raw()), Some(person.gid.as_raw())).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn people() -> Vec<User> {
    let mut people = Vec::new();
    // HOME is the user's own word for where their files are; the password file knows only the usual place.
    if let Ok(Some(mut me)) = User::from_uid(getuid()) {
        if let Some(home) = std::env::var_os("HOME").filter(|home| !home.is_empty()) {
            me.dir = home.into();
        }
        people.push(me);
    }
    let behind = std::env::var("SUDO_USER").ok().and_then(|name| User::from_name(&name).ok().flatten());
    people.extend(behind.filter(|person| person.uid != getuid()));
    people
}

fn folder(person: &User) -> PathBuf {
    person.dir.join(".config/dinp")
}
