//! Reading columns into types. A value that does not fit is an error which names its column, never its content:
//! it may be a secret.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::error::StoreError;

pub(crate) trait Columns {
    fn text(&self, column: &str) -> Result<String, StoreError>;
    fn text_opt(&self, column: &str) -> Result<Option<String>, StoreError>;
    fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError>;
    fn number_opt<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, StoreError>;
    fn flag(&self, column: &str) -> Result<bool, StoreError>;
    fn parsed<T: FromStr>(&self, column: &str) -> Result<T, StoreError>;
    fn parsed_opt<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError>;
    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError>;
    fn json_opt<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, StoreError>;
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn text_opt(&self, column: &str) -> Result<Option<String>, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError> {
        let value: i64 = self.try_get(column)?;
        T::try_from(value).map_err(|_| StoreError::unreadable(column, format!("{value} is out of range")))
    }

    fn number_opt<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, StoreError> {
        let value: Option<i64> = self.try_get(column)?;
        let fit = |value| T::try_from(value).map_err(|_| StoreError::unreadable(column, format!("{value} is out of range")));
        value.map(fit).transpose()
    }

    fn flag(&self, column: &str) -> Result<bool, StoreError> {
        match self.number::<i64>(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(StoreError::unreadable(column, format!("{other} is neither 0 nor 1"))),
        }
    }

    fn parsed<T: FromStr>(&self, column: &str) -> Result<T, StoreError> {
        parse(column, &self.text(column)?)
    }

    fn parsed_opt<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError> {
        self.text_opt(column)?.map(|text| parse(column, &text)).transpose()
    }

    fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        from_json(column, &self.text(column)?)
    }

    fn json_opt<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, StoreError> {
        self.text_opt(column)?.map(|text| from_json(column, &text)).transpose()
    }
}

fn parse<T: FromStr>(column: &str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::unreadable(column, "it has no known form"))
}

fn from_json<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| {
        let why = format!("the JSON is wrong at line {}, column {}", error.line(), error.column());
        StoreError::unreadable(column, why)
    })
}

/// A value as JSON. Our own types always have a JSON form: their maps have text keys.
pub(crate) fn to_json<T: serde::Serialize>(column: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::unreadable(column, error.to_string()))
}

/// A count as SQL holds it. Counts of ours stay far below 2^63; one that does not is pinned there.
pub(crate) fn long(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}
