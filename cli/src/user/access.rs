//! Who you are to the server: logging in and out, and tokens.

use std::io::{IsTerminal, Read};

use console::Term;
use dinp_client::Client;
use dinp_common::api::NewToken;
use dinp_common::token::Token;

use super::failure::{Exit, Failure};
use super::files::Files;
use super::output::{ago, text};
use super::session::Session;
use super::words;
use crate::args::{Login, Tokens};

/// Bytes of standard input that can be a token.
const TOKEN_BYTES: u64 = 4096;

pub async fn login(session: &Session, args: Login) -> Result<(), Failure> {
    let url = args.url.trim().trim_end_matches('/').to_owned();
    let anonymous = Client::connect(&url, None)?;
    let text = match args.token.as_deref() {
        Some("-") => read(false).await?,
        Some(_) => return Err(Failure::usage(words::TOKEN_BY_INPUT).fix(words::TOKEN_FROM_INPUT)),
        None if session.can_ask() => read(true).await?,
        None => return Err(Failure::usage(words::NO_TOKEN_GIVEN).fix(words::TOKEN_FROM_INPUT)),
    };
    let Some((_, token)) = Token::parse(text.trim()) else {
        return Err(Failure::new(Exit::Denied, words::bad_token("the input")));
    };
    // Nothing is kept that the server does not take.
    let whoami = anonymous.with_token(token.clone()).whoami().await?;
    let files = Files::of_user()?;
    let (mut config, mut credentials) = (files.config()?, files.credentials()?);
    credentials.tokens.insert(url.clone(), token.expose().to_owned());
    files.save_credentials(&credentials)?;
    config.url = Some(url.clone());
    files.save_config(&config)?;
    session.out.say(words::logged_in(&whoami.user, &url));
    Ok(())
}

/// Reads a token from standard input, unseen where it is a terminal.
async fn read(ask: bool) -> Result<String, Failure> {
    let reading = tokio::task::spawn_blocking(move || {
        if ask || std::io::stdin().is_terminal() {
            anstream::eprint!("{}", words::ASK_TOKEN);
            return Term::stderr().read_secure_line();
        }
        let mut text = String::new();
        std::io::stdin().take(TOKEN_BYTES).read_to_string(&mut text).map(|_| text)
    });
    let read = reading.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    let text = read.map_err(|error| Failure::usage(words::NO_TOKEN_GIVEN).why(error.to_string()))?;
    if text.trim().is_empty() { Err(Failure::usage(words::NO_TOKEN_GIVEN).fix(words::TOKEN_FROM_INPUT)) } else { Ok(text) }
}

pub fn logout(session: &Session) -> Result<(), Failure> {
    let (url, files) = (session.url()?, Files::of_user()?);
    let mut credentials = files.credentials()?;
    let was = credentials.tokens.remove(&url).is_some();
    if was {
        files.save_credentials(&credentials)?;
    }
    session.out.say(words::logged_out(&url, was));
    Ok(())
}

pub async fn whoami(session: &Session) -> Result<(), Failure> {
    let client = session.client()?;
    let whoami = client.whoami().await?;
    session.out.one(&whoami, &whoami.user, |out| {
        out.line(format!("{} (team {}, token {}) at {}", whoami.user, whoami.team, whoami.token, client.url()));
    })
}

pub async fn tokens(session: &Session, args: Tokens) -> Result<(), Failure> {
    let client = session.client()?;
    match args {
        Tokens::Create { name, expires } => {
            let created = client.token_create(&NewToken { name, expires_days: Some(expires) }).await?;
            session.out.one(&created, &created.token, |out| {
                out.line(&created.token);
                out.say(format!("{} ({}), until {}; {}", created.name, created.id, created.expires_at, words::SHOWN_ONCE));
            })
        }
        Tokens::List => {
            let tokens = client.tokens().await?.items;
            session.out.list(
                &tokens,
                |token| token.id.clone(),
                |tokens| {
                    let rows = tokens.iter().map(|token| {
                        vec![
                            text(&token.id),
                            text(&token.name),
                            text(&token.kind),
                            text(ago(&token.created_at)),
                            text(words::ends(&token.expires_at)),
                        ]
                    });
                    session.out.table(&["ID", "NAME", "KIND", "CREATED", "ENDS"], rows.collect());
                },
            )
        }
        Tokens::Revoke { id } => {
            client.token_revoke(&id).await?;
            session.out.say(format!("{id} is revoked"));
            Ok(())
        }
    }
}
