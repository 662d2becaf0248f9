//! Dependencies point one way, and there is one version of each.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::workspace;

/// Which packages of ours each package of ours may be built from.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("dinp-common", &[]),
    ("dinp-planner", &["dinp-common"]),
    ("dinp-store", &["dinp-common"]),
    ("dinp-daemon", &["dinp-common"]),
    ("dinp-client", &["dinp-common"]),
    ("dinp-server", &["dinp-common", "dinp-planner", "dinp-store", "dinp-daemon"]),
    ("dinp-agent", &["dinp-common", "dinp-planner", "dinp-daemon"]),
    ("dinp-builder", &["dinp-common", "dinp-client", "dinp-daemon"]),
    ("dinp-router", &["dinp-common", "dinp-planner", "dinp-daemon"]),
    ("dinp-dash", &["dinp-common", "dinp-client", "dinp-daemon"]),
    ("dinp-sample", &[]),
];

/// Packages that wait, talk, tell the time or draw lots. A decision does none of that.
const IMPURE: &[&str] = &[
    "async-std",
    "bollard",
    "chrono",
    "futures-core",
    "futures-util",
    "getrandom",
    "hyper",
    "jiff",
    "mio",
    "nix",
    "rand",
    "redis",
    "reqwest",
    "rusqlite",
    "socket2",
    "sqlx",
    "time",
    "tokio",
    "tokio-util",
];

/// Packages resolved in more than one version, and who is to blame.
const DUPLICATES: &[(&str, &str)] = &[
    ("block-buffer", "sha1 and sha2 0.10, below"),
    ("cpufeatures", "sha1 and sha2 0.10, below"),
    ("crypto-common", "sha1 and sha2 0.10, below"),
    ("digest", "sha1 and sha2 0.10, below"),
    ("getrandom", "rand 0.9, below"),
    ("hashbrown", "sqlx's hashlink and metrics-util stay on 0.16"),
    ("rand", "metrics-util and tungstenite 0.29 (which axum 0.8 uses) stay on 0.9"),
    ("rand_core", "rand 0.9, above"),
    ("sha1", "axum 0.8 and tungstenite stay on 0.10, sqlx-mysql has 0.11"),
    ("sha2", "sqlx-core stays on 0.10"),
    ("syn", "derive macros move from 2 to 3 one by one; none of it is in the binary"),
];

#[test]
fn dependencies_point_one_way() {
    for (name, allowed) in DIRECTIONS {
        let package = workspace().member(name);
        let ours = package.needs.iter().map(|id| &workspace().0[id]).filter(|need| need.member);
        for need in ours {
            assert!(allowed.contains(&need.name.as_str()), "{name} may not depend on {}", need.name);
        }
    }
    let known: BTreeSet<&str> = DIRECTIONS.iter().map(|(name, _)| *name).chain(["dinp", "dinp-tests"]).collect();
    for member in workspace().members() {
        assert!(known.contains(member.name.as_str()), "say in DIRECTIONS what {} may depend on", member.name);
    }
}

#[test]
fn decisions_have_no_clock_no_lots_and_no_sockets() {
    for name in ["dinp-common", "dinp-planner"] {
        for package in workspace().closure(workspace().member(name)) {
            assert!(!IMPURE.contains(&package.name.as_str()), "{name} is built from {}", package.name);
        }
    }
}

#[test]
fn router_and_dashboard_never_see_sql() {
    for name in ["dinp-router", "dinp-dash", "dinp-client"] {
        for package in workspace().closure(workspace().member(name)) {
            assert!(!package.name.starts_with("sqlx"), "{name} is built from {}", package.name);
        }
    }
}

#[test]
fn each_dependency_has_one_version_or_a_reason() {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in workspace().foreign() {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    let found: BTreeSet<&str> = versions.keys().copied().collect();
    let allowed: BTreeSet<&str> = DUPLICATES.iter().map(|(name, _)| *name).collect();
    let unexplained: Vec<_> = found.difference(&allowed).map(|name| (name, &versions[*name])).collect();
    let settled: Vec<_> = allowed.difference(&found).collect();
    assert!(unexplained.is_empty(), "more than one version of {unexplained:?}");
    assert!(settled.is_empty(), "remove from DUPLICATES, there is one version now: {settled:?}");
}
