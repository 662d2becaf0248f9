//! What people are told when an artifact cannot become an image.

use std::io;

/// Something the user can put right: what happened and why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Refusal {
    pub why: String,
    pub fix: String,
}

impl Refusal {
    pub fn new(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { why: why.into(), fix: fix.into() }
    }

    /// A file that ends before its format says it does.
    pub(crate) fn truncated(what: &str) -> Self {
        Self::new(format!("{what} is truncated: it ends in the middle"), "upload the whole file again")
    }

    /// The refusal within an error, wherever it sits, or words for an error nobody foresaw.
    pub fn of(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if let Some(refusal) = cause.downcast_ref::<Refusal>() {
                return refusal.clone();
            }
            if let Some(refusal) = cause.downcast_ref::<io::Error>().and_then(Refusal::inside) {
                return refusal;
            }
        }
        Self::new(format!("{error:#}"), "this is not about the artifact; try again, and look at the builder's log if it stays")
    }

    /// Readers and writers can only speak `io::Error`; a refusal travels inside.
    fn inside(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref::<Refusal>().cloned()
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        io::Error::other(refusal)
    }
}

/// An error of a reader in the words of the artifact: an early end is a truncated file, a wrong checksum a damaged one.
pub(crate) fn unreadable(what: &str, error: io::Error) -> anyhow::Error {
    if Refusal::inside(&error).is_some() {
        return error.into();
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Refusal::truncated(what).into(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
            Refusal::new(format!("{what} is damaged: {error}"), "make the file again and upload it").into()
        }
        _ => anyhow::Error::new(error).context(format!("reading {what}")),
    }
}
