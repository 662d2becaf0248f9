//! One module a page: what it reads, and how it is laid out.

pub(crate) mod app;
pub(crate) mod apps;
pub(crate) mod deploy;
pub(crate) mod events;
pub(crate) mod login;
pub(crate) mod logs;
pub(crate) mod overview;
pub(crate) mod releases;
pub(crate) mod rollback;
pub(crate) mod settings;
pub(crate) mod setup;
