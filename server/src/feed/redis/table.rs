//! The route table in Redis, written one certified step at a time or not at all.

use anyhow::Context;
use dinp_common::route::redis_keys::{CERT, CHANGE_FIELD, CHANGES, ROUTES};
use dinp_common::route::{Route, RouteUpdate, TableCert};
use redis::Script;
use redis::aio::ConnectionLike;

/// Steps kept for routers that look away for a moment; one that missed more reads the whole table.
const CHANGES_KEPT: usize = 256;

/// What Redis makes of a step. Only one that is [`Answer::Done`] has changed anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// It was made for another table than the one Redis holds.
    Gap,
    /// Redis has seen this epoch, above ours or beside it.
    Older(u64),
    /// The table is that of another cluster.
    Foreign(String),
}

/// Who writes the table: the script that checks the fence, and makes the step where it holds.
pub struct Table(Script);

impl Default for Table {
    fn default() -> Self {
        Self(Script::new(include_str!("../apply.lua")))
    }
}

impl Table {
    pub async fn apply(&self, connection: &mut impl ConnectionLike, update: &RouteUpdate) -> anyhow::Result<Answer> {
        let cert = update.cert();
        let (base, put, remove): (String, &[Route], &[_]) = match update {
            RouteUpdate::Full { routes, .. } => (String::new(), routes, &[]),
            RouteUpdate::Delta { base, put, remove, .. } => (format!("{}/{}", base.epoch, base.version), put, remove),
        };
        let mut call = self.0.prepare_invoke();
        call.key(ROUTES).key(CERT).key(CHANGES);
        call.arg(cert.fence.cluster.as_str()).arg(cert.fence.epoch).arg(&cert.fence.holder).arg(serde_json::to_string(cert)?);
        call.arg(base).arg(serde_json::to_string(update)?).arg(CHANGES_KEPT).arg(CHANGE_FIELD).arg(remove.len());
        for host in remove {
            call.arg(host.as_str());
        }
        for route in put {
            call.arg(route.host.as_str()).arg(serde_json::to_string(route)?);
        }
        let (outcome, what): (String, String) = call.invoke_async(connection).await?;
        Ok(match outcome.as_str() {
            "ok" => Answer::Done,
            "gap" => Answer::Gap,
            "older" | "holder" => Answer::Older(what.parse().with_context(|| format!("Redis names the epoch \"{what}\""))?),
            _ => Answer::Foreign(what),
        })
    }

    /// Whether Redis holds the table of this certificate still. What cannot be read is not ours.
    pub async fn holds(&self, connection: &mut impl ConnectionLike, cert: &TableCert) -> anyhow::Result<bool> {
        let read: (Option<String>, u64) = redis::pipe().get(CERT).hlen(ROUTES).query_async(connection).await.unwrap_or_default();
        Ok(read == (Some(serde_json::to_string(cert)?), cert.count))
    }
}
