//! What holds whatever happens: random histories on the small world, judged by an oracle that looks at containers,
//! router tables and clocks, and never at the planner's own buckets.

mod history;
mod oracle;
mod placing;
mod preview;
mod rebalancing;
mod rollouts;

use proptest::prelude::ProptestConfig;

/// `PROPTEST_CASES` asks for more.
fn config(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(cases), failure_persistence: None, ..ProptestConfig::default() }
}
