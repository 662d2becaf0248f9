//! The timeline: appended to, never changed, cut off at its far end.

use dinp_common::event::{Event, Severity};
use dinp_common::name::AppName;
use dinp_common::plan::Note;
use sqlx::any::AnyRow;

use crate::clock;
use crate::counter::Counter;
use crate::dialect::Durability;
use crate::error::StoreError;
use crate::open::Store;
use crate::row::{Columns as _, long};
use crate::session::{Session, sql};

/// Events kept: weeks of a calm cluster, hours of one that crashes all over.
pub const EVENTS_KEPT: u64 = 10_000;
/// Newest events which keep their detail; with last outputs of 32 KiB each it is at most 32 MiB.
pub const EVENT_DETAILS_KEPT: u64 = 1_000;
/// The timeline is cut once in so many events.
const TRIM_EVERY: u64 = 200;
/// The actor of what nobody asked for.
pub(crate) const PLATFORM: &str = "dinp";

impl Store {
    /// Appends one event and answers its id.
    pub async fn event_append(&self, note: &Note, actor: &str) -> Result<u64, StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = session.event_insert(note, actor).await;
        let result = match result {
            Ok(()) => session.counter(Counter::Event).await,
            Err(error) => Err(error),
        };
        session.end(result).await
    }

    /// At most `limit` events, of one app or of all. With `after`, the ones that follow it, oldest first; otherwise
    /// the newest ones, or the newest older than `before`, newest first.
    pub async fn event_list(
        &self,
        app: Option<&AppName>,
        before: Option<u64>,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        let text = match (app.is_some(), after.is_some()) {
            (false, false) => "SELECT * FROM events WHERE id > ? AND id < ? ORDER BY id DESC LIMIT ?",
            (false, true) => "SELECT * FROM events WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
            (true, false) => "SELECT * FROM events WHERE app = ? AND id > ? AND id < ? ORDER BY id DESC LIMIT ?",
            (true, true) => "SELECT * FROM events WHERE app = ? AND id > ? AND id < ? ORDER BY id LIMIT ?",
        };
        let query = match app {
            Some(app) => sql(text).bind(app.as_str()),
            None => sql(text),
        };
        let query = query.bind(long(after.unwrap_or(0))).bind(before.map_or(i64::MAX, long)).bind(long(limit));
        let mut session = self.single().await?;
        let result = session.rows(query).await;
        session.end(result).await?.iter().map(event_from).collect()
    }
}

impl Session {
    pub(crate) async fn event_insert(&mut self, note: &Note, actor: &str) -> Result<(), StoreError> {
        let id = self.counter_next(Counter::Event).await?;
        let query = sql("INSERT INTO events (id, happened_at, severity, kind, app, instance, node, actor, words, detail) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(long(id))
        .bind(clock::now())
        .bind(severity_text(note.severity))
        .bind(note.kind)
        .bind(note.app.as_ref().map(|app| app.as_str()))
        .bind(note.instance.as_ref().map(|instance| instance.as_str()))
        .bind(note.node.as_ref().map(|node| node.as_str()))
        .bind(actor)
        .bind(&note.text)
        .bind(note.detail.as_deref());
        self.execute(query).await?;
        if id.is_multiple_of(TRIM_EVERY) { self.events_trim(id).await } else { Ok(()) }
    }

    async fn events_trim(&mut self, newest: u64) -> Result<(), StoreError> {
        let old = long(newest.saturating_sub(EVENTS_KEPT));
        self.execute(sql("DELETE FROM events WHERE id <= ?").bind(old)).await?;
        let plain = long(newest.saturating_sub(EVENT_DETAILS_KEPT));
        self.execute(sql("UPDATE events SET detail = NULL WHERE id <= ? AND detail IS NOT NULL").bind(plain)).await.map(|_| ())
    }
}

fn severity_text(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

fn event_from(row: &AnyRow) -> Result<Event, StoreError> {
    let severity = match row.text("severity")?.as_str() {
        "info" => Severity::Info,
        "warning" => Severity::Warning,
        "error" => Severity::Error,
        _ => return Err(StoreError::unreadable("severity", "it has no known form")),
    };
    Ok(Event {
        id: row.number("id")?,
        at: row.text("happened_at")?,
        severity,
        kind: row.text("kind")?,
        app: row.text_opt("app")?,
        instance: row.text_opt("instance")?,
        node: row.text_opt("node")?,
        actor: row.text("actor")?,
        text: row.text("words")?,
        detail: row.text_opt("detail")?,
    })
}
