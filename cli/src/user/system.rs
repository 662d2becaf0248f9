//! The platform: nodes, base images, versions.

use std::time::Duration;

use dinp_client::{Client, ClientError};
use dinp_common::api::NodeView;
use dinp_common::size::human_bytes;

use super::failure::Failure;
use super::output::{maybe, state, text};
use super::session::Session;
use super::words;
use crate::args::Bases;

/// How long `dinp version` waits for the server's.
const VERSION_WAIT: Duration = Duration::from_secs(3);

pub async fn nodes(session: &Session) -> Result<(), Failure> {
    let nodes = session.client()?.nodes().await?.items;
    session.out.list(
        &nodes,
        |node| node.name.to_string(),
        |nodes| {
            let mut headings = vec!["NODE", "STATUS", "INSTANCES", "MEMORY", "DISK FREE", "DOCKER"];
            if session.out.verbose {
                headings.extend(["ZONE", "VERSION"]);
            }
            headings.push("WHY");
            session.out.table(&headings, nodes.iter().map(|node| row(node, session.out.verbose)).collect());
            for node in nodes {
                for orphan in &node.orphans {
                    session.out.line(words::orphan(&node.name, &orphan.container, orphan.running));
                }
            }
        },
    )
}

fn row(node: &NodeView, verbose: bool) -> Vec<comfy_table::Cell> {
    let memory = match &node.capacity {
        Some(capacity) => format!("{} of {}", node.memory_reserved, capacity.memory),
        None => node.memory_reserved.to_string(),
    };
    let mut row = vec![
        text(&node.name),
        state(node.status.as_str()),
        text(node.instances),
        text(memory),
        text(human_bytes(node.disk_free)),
        maybe(node.docker.as_ref()),
    ];
    if verbose {
        row.extend([text(&node.zone), maybe(node.version.as_ref())]);
    }
    row.push(text(&node.reason));
    row
}

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
