//! The last rebalance, whether it goes on or has ended: one row.

use dinp_common::event::Severity;
use dinp_common::plan::Note;
use dinp_common::rebalance::Rebalance;
use sqlx::any::AnyRow;

use crate::dialect::Durability;
use crate::error::StoreError;
use crate::open::Store;
use crate::row::{Columns as _, long, to_json};
use crate::session::{Session, sql};

impl Store {
    /// `None` if there never was one.
    pub async fn rebalance_last(&self) -> Result<Option<Rebalance>, StoreError> {
        let mut session = self.single().await?;
        let result = session.rebalance().await;
        session.end(result).await
    }

    /// Begins one, unless one goes on. Answers the one that goes on then, and whether it is new.
    pub async fn rebalance_begin(&self, by: &str) -> Result<(Rebalance, bool), StoreError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = begin(&mut session, by).await;
        session.end(result).await
    }

    /// Ends the one that goes on: what has moved stays, and what is on its way stays where it was. Answers it, or `None`
    /// if none goes on.
    pub async fn rebalance_cancel(&self, by: &str) -> Result<Option<Rebalance>, StoreError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = cancel(&mut session, by).await;
        session.end(result).await
    }
}

impl Session {
    pub(crate) async fn rebalance(&mut self) -> Result<Option<Rebalance>, StoreError> {
        let row = self.row(sql("SELECT * FROM rebalances ORDER BY number DESC LIMIT 1")).await?;
        row.as_ref().map(rebalance_from).transpose()
    }

    /// Stores it in the place of the one before, if it follows that one.
    pub(crate) async fn rebalance_put(&mut self, state: &Rebalance) -> Result<(), StoreError> {
        let stored = self.rebalance().await?;
        if !state.follows(stored.as_ref()) {
            tracing::info!(number = state.number, "the rebalance has ended meanwhile, and stays as it is");
            return Ok(());
        }
        let goes_on = stored.is_some_and(|stored| stored.number == state.number);
        if !goes_on {
            self.execute(sql("DELETE FROM rebalances")).await?;
        }
        let text = if goes_on {
            "UPDATE rebalances SET moved = ?, still_ms = ?, moves = ?, ended = ?, cancelled = ?, author = ? WHERE number = ?"
        } else {
            "INSERT INTO rebalances (moved, still_ms, moves, ended, cancelled, author, number) VALUES (?, ?, ?, ?, ?, ?, ?)"
        };
        let query = sql(text).bind(long(state.moved)).bind(long(state.still_ms)).bind(to_json("moves", &state.moves)?);
        let query = query.bind(state.ended.as_deref()).bind(long(state.cancelled));
        self.execute(query.bind(&state.by).bind(long(state.number))).await.map(|_| ())
    }

    async fn rebalance_told(&mut self, kind: &'static str, text: String, by: &str) -> Result<(), StoreError> {
        let (severity, app, instance, node) = (Severity::Info, None, None, None);
        self.event_insert(&Note { severity, kind, app, instance, node, text, detail: None }, by).await
    }
}

async fn begin(session: &mut Session, by: &str) -> Result<(Rebalance, bool), StoreError> {
    let last = session.rebalance().await?;
    let number = last.as_ref().map_or(1, |last| last.number + 1);
    if let Some(running) = last.filter(|last| last.ended.is_none()) {
        return Ok((running, false));
    }
    let new = Rebalance::new(number, by);
    session.rebalance_put(&new).await?;
    session.rebalance_told("rebalance_begun", "A rebalance begins".to_owned(), by).await?;
    Ok((new, true))
}

async fn cancel(session: &mut Session, by: &str) -> Result<Option<Rebalance>, StoreError> {
    let Some(running) = session.rebalance().await?.filter(|last| last.ended.is_none()) else { return Ok(None) };
    let cancelled = running.cancelled(by);
    session.rebalance_put(&cancelled).await?;
    let text = format!("The rebalance is cancelled; what has moved stays ({} so far)", cancelled.moved);
    session.rebalance_told("rebalance_cancelled", text, by).await?;
    Ok(Some(cancelled))
}

fn rebalance_from(row: &AnyRow) -> Result<Rebalance, StoreError> {
    Ok(Rebalance {
        number: row.number("number")?,
        by: row.text("author")?,
        moved: row.number("moved")?,
        still_ms: row.number("still_ms")?,
        moves: row.json("moves")?,
        ended: row.text_opt("ended")?,
        cancelled: row.flag("cancelled")?,
    })
}
