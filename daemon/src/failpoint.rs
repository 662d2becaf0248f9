//! Named points at which a test can make a debug build die, as `kill -9` would.

/// Aborts the process if `DINP_FAILPOINT` names this point. Release builds contain nothing of it.
#[inline]
pub fn here(name: &str) {
    #[cfg(debug_assertions)]
    {
        static CHOSEN: std::sync::LazyLock<Option<String>> = std::sync::LazyLock::new(|| std::env::var("DINP_FAILPOINT").ok());
        if CHOSEN.as_deref() == Some(name) {
            std::process::abort();
        }
    }
    #[cfg(not(debug_assertions))]
    let _ = name;
}
