//! The only SQL of the product: what people want and what was decided, on SQLite or MySQL.
//!
//! Rows are private to this crate; it takes and answers the nouns of `dinp-common`. Every call is bounded by
//! [`QUERY_DEADLINE`], every write transaction is alone, and what the leader writes proves its lease first.

mod app;
mod build;
mod build_log;
mod change;
mod clock;
mod commit;
mod counter;
mod deploy;
mod desired;
mod dialect;
mod error;
mod event;
mod history;
mod hold;
mod idempotency;
mod images;
mod instance;
mod intent;
mod kept;
mod lease;
mod meta;
mod migration;
mod node;
mod open;
mod pool;
mod rebalance;
mod refused;
mod release;
mod row;
mod session;
mod token;
mod url;

pub use build::{Build, Requeued};
pub use build_log::{BUILD_LOG_LINES, BUILD_LOGS_KEPT};
pub use dialect::Dialect;
pub use error::{IntentError, StoreError};
pub use event::{EVENT_DETAILS_KEPT, EVENTS_KEPT};
pub use history::{DEPLOYS_KEPT, RELEASES_RECORDED};
pub use hold::HoldError;
pub use idempotency::{IDEMPOTENCY_KEPT, Idempotency, RequestKey};
pub use intent::{Intent, NewBuild, NewRelease};
pub use migration::SCHEMA_VERSION;
pub use open::Store;
pub use session::QUERY_DEADLINE;
pub use token::{NewToken, Origin, TokenRow};
pub use url::{InvalidUrl, StoreUrl};
