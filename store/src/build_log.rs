//! Builds' logs, kept in the chunks they came in.

use dinp_common::api::BuildLine;
use dinp_common::build::BuildId;
use dinp_common::name::AppName;
use sqlx::any::AnyRow;

use crate::clock;
use crate::dialect::Durability;
use crate::error::StoreError;
use crate::open::Store;
use crate::row::{Columns as _, long};
use crate::session::{Session, sql};

/// Lines kept of one build; more are a loop, and nobody reads them.
pub const BUILD_LOG_LINES: u64 = 20_000;
/// Builds of one app whose logs are kept.
pub const BUILD_LOGS_KEPT: u32 = 20;
/// Bytes of one line; a longer one is cut.
const LINE_BYTES: usize = 8 * 1024;
/// Bytes of one chunk, far below MySQL's smallest usual packet of 16 MiB.
const CHUNK_BYTES: usize = 1024 * 1024;

impl Store {
    /// Appends to the log of a build under way. `false` if the claim does not hold (any more).
    pub async fn build_log_append(&self, id: BuildId, claim: &str, lines: &[String]) -> Result<bool, StoreError> {
        let mut session = self.writing(Durability::Progress).await?;
        let result = append(&mut session, id, claim, lines).await;
        session.end(result).await
    }

    /// At most `limit` lines from line `from` on.
    pub async fn build_log_read(&self, id: BuildId, from: u64, limit: u32) -> Result<Vec<BuildLine>, StoreError> {
        let query =
            sql("SELECT * FROM build_log WHERE build = ? AND first_line + line_count > ? AND first_line < ? ORDER BY first_line");
        let end = from.saturating_add(u64::from(limit));
        let mut session = self.single().await?;
        let result = session.rows(query.bind(long(id.0)).bind(long(from)).bind(long(end))).await;
        let mut lines = Vec::new();
        for row in session.end(result).await? {
            lines.extend(lines_from(&row)?.into_iter().filter(|line| (from..end).contains(&line.n)));
        }
        Ok(lines)
    }
}

impl Session {
    /// Drops the logs of the app's builds before its latest [`BUILD_LOGS_KEPT`].
    pub(crate) async fn build_logs_trim(&mut self, app: &AppName) -> Result<(), StoreError> {
        let query = sql("SELECT id FROM builds WHERE app = ? ORDER BY id DESC LIMIT 1 OFFSET ?");
        let Some(row) = self.row(query.bind(app.as_str()).bind(long(BUILD_LOGS_KEPT))).await? else { return Ok(()) };
        let last: i64 = row.number("id")?;
        let query = sql("DELETE FROM build_log WHERE build IN (SELECT id FROM builds WHERE app = ? AND id <= ?)");
        self.execute(query.bind(app.as_str()).bind(last)).await.map(|_| ())
    }
}

async fn append(session: &mut Session, id: BuildId, claim: &str, lines: &[String]) -> Result<bool, StoreError> {
    let query = sql("SELECT log_lines FROM builds WHERE id = ? AND claim = ? AND state = 'running'");
    let Some(row) = session.row(query.bind(long(id.0)).bind(claim)).await? else { return Ok(false) };
    let mut next: u64 = row.number("log_lines")?;
    let at = clock::now();
    for chunk in chunks(bounded(lines, next)) {
        let query = sql("INSERT INTO build_log (build, first_line, line_count, written_at, body) VALUES (?, ?, ?, ?, ?)");
        let query = query.bind(long(id.0)).bind(long(next)).bind(long(chunk.len())).bind(&at).bind(chunk.join("\n"));
        session.execute(query).await?;
        next += chunk.len() as u64;
    }
    session.execute(sql("UPDATE builds SET log_lines = ? WHERE id = ?").bind(long(next)).bind(long(id.0))).await?;
    Ok(true)
}

/// The lines that still fit behind `have`, each without line ends; the last one of a full log says that it is full.
fn bounded(lines: &[String], have: u64) -> Vec<&str> {
    let room = usize::try_from(BUILD_LOG_LINES.saturating_sub(have)).unwrap_or(0);
    let split = lines.iter().flat_map(|text| text.split('\n')).map(|line| line.trim_end_matches('\r'));
    let mut kept: Vec<&str> = split.map(|line| &line[..line.floor_char_boundary(LINE_BYTES)]).take(room).collect();
    if room > 0 && kept.len() == room {
        kept[room - 1] = CUT;
    }
    kept
}

const CUT: &str = "[the log is cut here: it has reached 20000 lines]";

fn chunks(lines: Vec<&str>) -> Vec<Vec<&str>> {
    let mut chunks: Vec<Vec<&str>> = Vec::new();
    let mut bytes = CHUNK_BYTES;
    for line in lines {
        bytes += line.len() + 1;
        match chunks.last_mut().filter(|_| bytes <= CHUNK_BYTES) {
            Some(chunk) => chunk.push(line),
            None => {
                bytes = line.len() + 1;
                chunks.push(vec![line]);
            }
        }
    }
    chunks
}

fn lines_from(row: &AnyRow) -> Result<Vec<BuildLine>, StoreError> {
    let first: u64 = row.number("first_line")?;
    let at = row.text("written_at")?;
    let body = row.text("body")?;
    let line = |(place, text): (usize, &str)| BuildLine { n: first + place as u64, at: at.clone(), text: text.to_owned() };
    Ok(body.split('\n').enumerate().map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_says_so_once() {
        assert!(CUT.contains(&BUILD_LOG_LINES.to_string()));
        let lines = vec!["x".to_owned(); 5];
        assert_eq!(bounded(&lines, BUILD_LOG_LINES - 3), ["x", "x", CUT]);
        assert_eq!(bounded(&lines, BUILD_LOG_LINES), Vec::<&str>::new());
        assert_eq!(bounded(&["a\r\nb".to_owned(), String::new()], 0), ["a", "b", ""]);
    }

    #[test]
    fn chunks_stay_below_their_bound_and_lose_nothing() {
        let long = "y".repeat(LINE_BYTES);
        let lines = vec![long.as_str(); 300];
        let chunks = chunks(lines);
        assert!(chunks.len() > 1 && chunks.iter().all(|chunk| chunk.join("\n").len() <= CHUNK_BYTES));
        assert_eq!(chunks.iter().map(Vec::len).sum::<usize>(), 300);
    }
}
