//! The platform: base images, versions.

use std::time::Duration;

use dinp_client::{Client, ClientError};

use super::failure::Failure;
use super::output::{maybe, state, text};
use super::session::Session;
use super::words;
use crate::args::Bases;

/// How long `dinp version` waits for the server's.
const VERSION_WAIT: Duration = Duration::from_secs(3);

pub async fn bases(session: &Session, args: Bases) -> Result<(), Failure> {
    #[cfg(feature = "daemons")]
    if let Some(command) = args.command {
        return crate::processes::bases(command)
            .await
            .map_err(|error| Failure::new(super::failure::Exit::Failed, format!("{error:#}")));
    }
    #[cfg(not(feature = "daemons"))]
    let Bases {} = args;
    let bases = session.client()?.bases().await?.items;
    session.out.list(
        &bases,
        |base| base.name.to_string(),
        |bases| {
            let rows = bases.iter().map(|base| {
                let ready = if base.ready { state("ready") } else { text("-") };
                vec![text(base.name), ready, maybe(base.image.as_ref().map(|image| image.name.clone())), text(&base.reason)]
            });
            session.out.table(&["BASE", "STATE", "IMAGE", "WHY"], rows.collect());
        },
    )
}

/// Says this program's version whether or not a server answers.
pub async fn version(session: &Session) -> Result<(), Failure> {
    let (ours, url) = (env!("CARGO_PKG_VERSION"), session.url()?);
    let asked = async { Client::connect(&url, None)?.version().await };
    let server = match tokio::time::timeout(VERSION_WAIT, asked).await {
        Ok(Ok(server)) => Ok(server.version),
        Ok(Err(ClientError::Unreachable { why, .. })) => Err(why),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", VERSION_WAIT.as_secs())),
    };
    let json = serde_json::json!({ "version": ours, "server": server.as_ref().ok(), "url": url });
    session.out.one(&json, ours, |out| {
        out.line(format!("dinp {ours}"));
        match &server {
            Ok(version) => out.line(words::server_version(version, &url)),
            Err(why) => out.say(words::server_unknown(&url, why)),
        }
    })
}
