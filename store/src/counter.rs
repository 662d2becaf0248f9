//! Numbers given once, whoever asks: a row each, raised inside the transaction that uses the number.

use crate::error::StoreError;
use crate::row::{Columns as _, long};
use crate::session::{Session, sql};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Counter {
    Instance,
    Event,
    Build,
    Idempotency,
}

impl Counter {
    fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Event => "event",
            Self::Build => "build",
            Self::Idempotency => "idempotency",
        }
    }
}

impl Session {
    /// The highest number given so far; 0 before the first.
    pub(crate) async fn counter(&mut self, counter: Counter) -> Result<u64, StoreError> {
        let row = self.row(sql("SELECT value FROM counters WHERE name = ?").bind(counter.name())).await?;
        row.ok_or_else(|| StoreError::Schema { why: format!("the counter {} is missing", counter.name()) })?.number("value")
    }

    /// Takes the next number.
    pub(crate) async fn counter_next(&mut self, counter: Counter) -> Result<u64, StoreError> {
        let next = self.counter(counter).await? + 1;
        self.counter_raise(counter, next).await?;
        Ok(next)
    }

    /// Makes sure that no number up to `to` is given again.
    pub(crate) async fn counter_raise(&mut self, counter: Counter, to: u64) -> Result<(), StoreError> {
        let query = sql("UPDATE counters SET value = ? WHERE name = ? AND value < ?");
        self.execute(query.bind(long(to)).bind(counter.name()).bind(long(to))).await.map(|_| ())
    }
}
