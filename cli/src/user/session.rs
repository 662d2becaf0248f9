//! What every command starts from: the server, the token, the app, and how to print.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Mutex;

use dinp_client::Client;
use dinp_common::manifest::Manifest;
use dinp_common::name::AppName;
use dinp_common::token::Token;

use super::failure::{Exit, Failure};
use super::files::Files;
use super::output::Output;
use super::words;
use crate::args::{Globals, Named};

/// Where `dinp up` listens, for those who never said otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8081";
pub const MANIFEST: &str = "dinp.toml";

pub struct Session {
    pub globals: Globals,
    pub out: Output,
    /// What to say if Ctrl-C ends the command now.
    if_interrupted: Mutex<Option<String>>,
}

/// The app a command is about, and how later commands would name it.
#[derive(Debug, Clone)]
pub struct Chosen {
    pub app: AppName,
    /// ` -a shop`, or nothing where the folder or the environment says it already.
    pub flag: String,
}

impl Session {
    pub fn new(globals: Globals) -> Self {
        let out = Output::new(&globals);
        Self { globals, out, if_interrupted: Mutex::new(None) }
    }

    /// From now on Ctrl-C says this.
    pub fn on_interrupt(&self, text: impl Into<String>) {
        *self.if_interrupted.lock().expect("no holder of this lock panics") = Some(text.into());
    }

    pub fn if_interrupted(&self) -> Option<String> {
        self.if_interrupted.lock().expect("no holder of this lock panics").take()
    }

    /// The server's address: `DINP_URL`, else what `dinp login` kept, else this machine.
    pub fn url(&self) -> Result<String, Failure> {
        if let Some(url) = env_text("DINP_URL") {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        Ok(Files::of_user()?.config()?.url.unwrap_or_else(|| DEFAULT_URL.to_owned()))
    }

    /// A client with the user's token.
    pub fn client(&self) -> Result<Client, Failure> {
        let url = self.url()?;
        let (text, origin) = match env_text("DINP_TOKEN") {
            Some(text) => (text, "DINP_TOKEN"),
            None => match Files::of_user()?.credentials()?.tokens.remove(&url) {
                Some(text) => (text, "credentials.toml"),
                None => return Err(Failure::new(Exit::Denied, words::not_logged_in(&url)).fix(words::LOG_IN)),
            },
        };
        match Token::parse(text.trim()) {
            Some((_, token)) => Ok(Client::connect(&url, Some(token))?),
            None => Err(Failure::new(Exit::Denied, words::bad_token(origin)).fix(words::LOG_IN)),
        }
    }

    /// The app of a command that takes a bare name, said on standard error.
    pub fn named(&self, named: &Named) -> Result<Chosen, Failure> {
        match (&named.name, &self.globals.app) {
            (Some(name), Some(flag)) if name != flag => Err(Failure::usage(words::two_apps(name, flag))),
            (Some(name), _) => self.chosen(name.clone(), true),
            (None, _) => self.app(),
        }
    }

    /// The app of any other command: `-a`, else `DINP_APP`, else `dinp.toml` here.
    pub fn app(&self) -> Result<Chosen, Failure> {
        if let Some(app) = &self.globals.app {
            return self.chosen(app.clone(), true);
        }
        if let Some(app) = app_of_environment()? {
            return self.chosen(app, false);
        }
        match manifest_in(Path::new("."))?.and_then(|manifest| manifest.name) {
            Some(app) => self.chosen(app, false),
            None => Err(Failure::usage(words::NO_APP).fix(words::NAME_APP)),
        }
    }

    pub fn chosen(&self, app: AppName, named_by_hand: bool) -> Result<Chosen, Failure> {
        self.out.say(words::app_chosen(&app, &self.url()?));
        let flag = if named_by_hand { format!(" -a {app}") } else { String::new() };
        Ok(Chosen { app, flag })
    }

    /// Whether somebody is there to answer a question.
    pub fn can_ask(&self) -> bool {
        !self.globals.no_input && env_text("DINP_NO_INPUT").is_none() && std::io::stdin().is_terminal()
    }
}

pub fn app_of_environment() -> Result<Option<AppName>, Failure> {
    env_text("DINP_APP")
        .map(|text| AppName::parse(&text).map_err(|error| Failure::usage(format!("DINP_APP: {error}"))))
        .transpose()
}

/// The manifest of a folder, where it has one.
pub fn manifest_in(folder: &Path) -> Result<Option<Manifest>, Failure> {
    let path = folder.join(MANIFEST);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::usage(words::cannot_read(&path, &error))),
    };
    let shown = path.strip_prefix(".").unwrap_or(&path).display().to_string();
    Manifest::parse(&text).map(Some).map_err(|error| Failure::manifest(&shown, &text, &error))
}

/// A variable that is set to something.
fn env_text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.trim().is_empty())
}
