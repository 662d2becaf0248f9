//! The typed client of DINP's API, shared by the command line, the dashboard, the builder and the tests.
//!
//! [`Client`] speaks to a server over TCP, or calls an API router in the same process; every call is the same either
//! way. Each call has a deadline, every POST carries an idempotency key, and what the server refuses arrives as the
//! [`dinp_common::problem::Problem`] it sent.

mod access;
mod apps;
mod artifacts;
mod builder;
mod call;
mod connection;
mod deploys;
mod error;
mod forward;
mod query;
mod stream;
mod system;
mod transport;
mod upload;

pub use call::Client;
pub use error::ClientError;
pub use query::{EventQuery, LogQuery, PageQuery};
pub use stream::Items;
pub use upload::{UploadStep, sha256_of_file};
