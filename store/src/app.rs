//! Apps.

use dinp_common::app::{App, Backoff};
use dinp_common::name::AppName;
use dinp_common::pace::Pace;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::open::Store;
use crate::row::{Columns as _, long};
use crate::session::{Session, sql};

impl Store {
    /// `None` if there is no such app; a tombstone is still there.
    pub async fn app_get(&self, app: &AppName) -> Result<Option<App>, StoreError> {
        let mut session = self.single().await?;
        let result = session.app(app).await;
        session.end(result).await
    }

    /// At most `limit` apps behind `after` in the order of their names, tombstones included; with `q`, those whose
    /// name contains it. One whose record cannot be read is left out; asking for it by its name says why.
    pub async fn app_list(&self, after: Option<&AppName>, limit: u32, q: Option<&str>) -> Result<Vec<App>, StoreError> {
        let after = after.map_or("", AppName::as_str);
        let query = sql("SELECT * FROM apps WHERE name > ? AND name LIKE ? ESCAPE '!' ORDER BY name LIMIT ?");
        let query = query.bind(after).bind(like(q.unwrap_or_default())).bind(long(limit));
        let mut session = self.single().await?;
        let result = session.rows(query).await;
        Ok(session.end(result).await?.iter().filter_map(|row| app_from(row).ok()).collect())
    }
}

impl Session {
    pub(crate) async fn app(&mut self, app: &AppName) -> Result<Option<App>, StoreError> {
        let row = self.row(sql("SELECT * FROM apps WHERE name = ?").bind(app.as_str())).await?;
        row.as_ref().map(app_from).transpose()
    }

    pub(crate) async fn app_insert(&mut self, app: &App) -> Result<(), StoreError> {
        let query = sql("INSERT INTO apps (name, team, kind, instances, stopped, deleted, live, generation, revision, crashes, \
             wait_ms, calm_ms, max_surge, max_unavailable, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(app.name.as_str())
        .bind(app.team.as_str())
        .bind(app.kind.as_str())
        .bind(long(app.instances))
        .bind(long(app.stopped))
        .bind(long(app.deleted))
        .bind(app.live.map(|live| long(live.0)))
        .bind(long(app.generation))
        .bind(long(app.revision))
        .bind(long(app.backoff.crashes))
        .bind(long(app.backoff.wait_ms))
        .bind(long(app.backoff.calm_ms))
        .bind(app.pace.max_surge.map(String::from))
        .bind(app.pace.max_unavailable.map(String::from))
        .bind(&app.created_at);
        self.execute(query).await.map(|_| ())
    }

    /// Writes what people may change of an app.
    pub(crate) async fn app_update(&mut self, app: &App) -> Result<(), StoreError> {
        let query = sql("UPDATE apps SET instances = ?, stopped = ?, deleted = ?, revision = ?, max_surge = ?, \
             max_unavailable = ? WHERE name = ?")
        .bind(long(app.instances))
        .bind(long(app.stopped))
        .bind(long(app.deleted))
        .bind(long(app.revision))
        .bind(app.pace.max_surge.map(String::from))
        .bind(app.pace.max_unavailable.map(String::from))
        .bind(app.name.as_str());
        self.execute(query).await.map(|_| ())
    }
}

pub(crate) fn app_from(row: &AnyRow) -> Result<App, StoreError> {
    Ok(App {
        name: row.parsed("name")?,
        team: row.parsed("team")?,
        kind: row.parsed("kind")?,
        instances: row.number("instances")?,
        stopped: row.flag("stopped")?,
        deleted: row.flag("deleted")?,
        live: row.number_opt("live")?.map(dinp_common::release::ReleaseNo),
        generation: row.number("generation")?,
        revision: row.number("revision")?,
        backoff: Backoff { crashes: row.number("crashes")?, wait_ms: row.number("wait_ms")?, calm_ms: row.number("calm_ms")? },
        pace: Pace { max_surge: row.parsed_opt("max_surge")?, max_unavailable: row.parsed_opt("max_unavailable")? },
        created_at: row.text("created_at")?,
    })
}

/// A pattern for names that contain `text`, with `!` before what has a meaning of its own.
fn like(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
