//! Named points at which a test can make a debug build die, as `kill -9` would.

/// Aborts the process if `DINP_FAILPOINT` names this point: `name`, or `name@3` for the third time it is reached.
/// Release builds contain nothing of it.
#[inline]
pub fn here(name: &str) {
    #[cfg(debug_assertions)]
    armed::reach(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod armed {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Point {
        name: String,
        /// Times it may still be reached; the one after them is the last.
        left: AtomicU32,
    }

    pub(super) fn reach(name: &str) {
        static CHOSEN: LazyLock<Option<Point>> = LazyLock::new(|| parse(&std::env::var("DINP_FAILPOINT").ok()?));
        let Some(point) = CHOSEN.as_ref().filter(|point| point.name == name) else { return };
        if point.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            std::process::abort();
        }
    }

    fn parse(text: &str) -> Option<Point> {
        let (name, times) = text.split_once('@').unwrap_or((text, "1"));
        Some(Point { name: name.to_owned(), left: AtomicU32::new(times.parse().ok()?) })
    }

    #[test]
    fn a_point_is_chosen_by_name_and_time() {
        let left = |text: &str| parse(text).map(|point| (point.name, point.left.into_inner()));
        assert_eq!(left("server.planned"), Some(("server.planned".to_owned(), 1)));
        assert_eq!(left("server.planned@3"), Some(("server.planned".to_owned(), 3)));
        assert_eq!(left("server.planned@x"), None);
    }
}
