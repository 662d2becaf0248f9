//! An app's environment.

use dinp_common::api::EnvChange;

use super::change::change;
use super::failure::Failure;
use super::output::text;
use super::session::Session;
use super::words;
use crate::args::{Env, Named};

pub async fn run(session: &Session, args: Env) -> Result<(), Failure> {
    let (edit, wait) = match args {
        Env::List(named) => return list(session, named).await,
        Env::Set { pairs, wait } => (EnvChange { set: pairs.into_iter().collect(), unset: Vec::new() }, wait),
        Env::Unset { keys, wait } => (EnvChange { set: Default::default(), unset: keys }, wait),
    };
    let chosen = session.app()?;
    change(session, &chosen, &wait, async |client, app| client.env_change(app, &edit).await).await
}

async fn list(session: &Session, named: Named) -> Result<(), Failure> {
    let chosen = session.named(&named)?;
    let env = session.client()?.env(&chosen.app).await?;
    let names: Vec<&str> = env.items.keys().map(String::as_str).collect();
    session.out.one(&env, &names.join("\n"), |out| {
        if env.items.is_empty() {
            return out.say(words::NOTHING_YET);
        }
        let value = |item: &dinp_common::api::EnvItem| item.value.clone().unwrap_or_else(|| "(sealed)".to_owned());
        out.table(&["NAME", "VALUE"], env.items.iter().map(|(name, item)| vec![text(name), text(value(item))]).collect());
    })
}
