//! How nouns look: each takes shapes of the API and gives markup.

pub(crate) mod deploy;
pub(crate) mod drop;
pub(crate) mod events;
pub(crate) mod icons;
pub(crate) mod instances;
pub(crate) mod logs;
pub(crate) mod parts;
pub(crate) mod path;
pub(crate) mod problem;
pub(crate) mod shell;
pub(crate) mod status;
