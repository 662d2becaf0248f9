//! What the store says, as answers.

use axum::http::StatusCode;
use dinp_store::{IntentError, StoreError};

use super::problem::ApiError;

const KEEP_SERVING: &str = "apps keep serving; only changes and this view of them wait";

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let words = error.to_string();
        match error {
            StoreError::Unavailable { .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", words)
                .suggest("try again in a moment")
                .now(KEEP_SERVING),
            StoreError::OutcomeUnknown { .. } => Self::new(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", words)
                .suggest("repeat it with the same Idempotency-Key, or look first whether the change is there")
                .now(KEEP_SERVING),
            StoreError::Fenced => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_leading", words).suggest("try again in a moment")
            }
            StoreError::Conflict { .. } => Self::conflict("conflict", words),
            StoreError::NotFound { .. } => Self::not_found("not_found", words),
            StoreError::Corrupt { .. } | StoreError::Newer { .. } | StoreError::Schema { .. } | StoreError::Unreadable { .. } => {
                tracing::error!(error = words, "the store holds something this server cannot read");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store_damaged", words).now(KEEP_SERVING)
            }
        }
    }
}

impl From<IntentError> for ApiError {
    fn from(error: IntentError) -> Self {
        let words = error.to_string();
        match error {
            IntentError::NotFound { .. } => Self::not_found("app_not_found", words),
            IntentError::Deleting { .. } => {
                Self::conflict("app_deleting", words).suggest("wait until it is gone (dinp apps), then use the name again")
            }
            IntentError::Revision { .. } => Self::new(StatusCode::PRECONDITION_FAILED, "changed_meanwhile", words)
                .suggest("read the app again, then repeat the change"),
            IntentError::Live { .. } => Self::conflict("changed_meanwhile", words).suggest("repeat the change"),
            IntentError::Store(error) => error.into(),
        }
    }
}
