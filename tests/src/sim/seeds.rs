//! Seeds that once found something, by the name of what it was: each must pass from then on.

/// A run that is kept: what went wrong in it once, and how much of it shows that it does not any more.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// What the bug was, in words.
    pub name: &'static str,
    pub seed: u64,
    /// Minutes of faults and wishes; the calm after them comes on top.
    pub minutes: u32,
}

/// A change of what seeds draw moves them all: what is named here is then sought anew, or goes.
pub const SEEDS: &[Named] = &[
    Named { name: "a large cluster with everything in it", seed: 39, minutes: 2 },
    Named { name: "a small cluster with everything in it", seed: 7, minutes: 6 },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Detail, run};

    #[test]
    fn what_a_seed_has_found_once_stays_mended() {
        let failed: Vec<String> = SEEDS
            .iter()
            .filter_map(|named| {
                let outcome = run(named.seed, Some(f64::from(named.minutes) / 60.0), None, Detail::Count);
                let violation = outcome.violation?;
                Some(format!("{} (seed {}): {}: {}", named.name, named.seed, violation.promise, violation.what))
            })
            .collect();
        assert!(failed.is_empty(), "{}", failed.join("\n"));
    }

    #[test]
    fn one_seed_is_one_run_byte_for_byte() {
        let hash = || run(3, Some(0.1), None, Detail::Hash).hash;
        assert_eq!(hash(), hash());
    }
}
