//! Paging: a bounded page and a cursor to the next.

use dinp_common::api::Page;
use dinp_common::limits;

use super::problem::{ApiError, ApiResult};

const ITEMS: u32 = 50;

#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Items on the page; 50 where nothing is said, 200 at most.
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    /// Part of a name.
    #[serde(default)]
    pub q: Option<String>,
}

impl PageQuery {
    pub fn limit(&self) -> ApiResult<u32> {
        bounded(self.limit)
    }

    pub fn cursor<T: std::str::FromStr>(&self) -> ApiResult<Option<T>> {
        let read =
            |text: &str| text.parse().map_err(|_| ApiError::unprocessable("invalid_cursor", "the cursor is not one of ours"));
        self.cursor.as_deref().map(read).transpose()
    }
}

/// The number of items asked for, within its bounds.
pub fn bounded(limit: Option<u32>) -> ApiResult<u32> {
    match limit.unwrap_or(ITEMS) {
        limit @ 1..=limits::PAGE_ITEMS => Ok(limit),
        limit => {
            let detail = format!("limit is {limit}; a page has 1 to {} items", limits::PAGE_ITEMS);
            Err(ApiError::unprocessable("invalid_limit", detail))
        }
    }
}

/// Makes a page of what was read, one item more than asked for, so that it is known whether more follow.
pub fn page<T>(mut read: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Page<T> {
    let more = read.len() > limit as usize;
    read.truncate(limit as usize);
    let next_cursor = read.last().filter(|_| more).map(cursor);
    Page { items: read, next_cursor }
}

pub fn whole<T>(items: Vec<T>) -> Page<T> {
    Page { items, next_cursor: None }
}
