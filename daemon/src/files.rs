//! How many files a process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What there is where nobody can say.
const USUAL: u64 = 1_024;

/// Raises the limit of open files to `wanted`, as far as the system allows, and returns it. Children inherit it, and some
/// look at every number below it, so it is not raised beyond need.
pub fn raise_limit(wanted: u64) -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return USUAL };
    let raised = wanted.min(hard).max(soft);
    match setrlimit(Resource::RLIMIT_NOFILE, raised, hard) {
        Ok(()) => raised,
        Err(_) => soft,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_never_lowered_and_never_above_what_the_system_allows() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        assert_eq!(raise_limit(1), soft);
        assert_eq!(raise_limit(u64::MAX), hard);
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).expect("a limit"), (hard, hard));
    }
}
