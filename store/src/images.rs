//! Which images nodes keep.

use std::collections::BTreeSet;

use dinp_common::build::BuildId;
use dinp_common::digest::Digest;
use dinp_common::limits::RELEASES_KEPT;
use dinp_common::wire::ImagesKept;

use crate::counter::Counter;
use crate::error::StoreError;
use crate::row::{Columns as _, long};
use crate::session::{Session, sql};

/// Releases are numbered without gaps, so the newest five are those above the newest number less five.
const NEWEST: &str = "SELECT r.image_config FROM releases r \
     JOIN (SELECT app, MAX(number) AS newest FROM releases GROUP BY app) t ON t.app = r.app AND r.number > t.newest - ?";
const IN_USE: [&str; 4] = [
    "SELECT r.image_config FROM releases r JOIN apps a ON a.name = r.app AND a.live = r.number",
    "SELECT r.image_config FROM releases r JOIN deploys d ON d.app = r.app AND d.to_release = r.number WHERE d.state = 'running'",
    "SELECT r.image_config FROM releases r JOIN deploys d ON d.app = r.app AND d.from_release = r.number WHERE d.state = 'running'",
    "SELECT r.image_config FROM releases r WHERE EXISTS (SELECT 1 FROM instances i WHERE i.app = r.app AND i.release_no = r.number)",
];
/// Builds whose image may still find its release.
const UNSETTLED: [&str; 2] = [
    "SELECT MIN(id) AS first FROM builds WHERE state IN ('queued', 'running')",
    "SELECT MIN(build) AS first FROM deploys WHERE state = 'running' AND build IS NOT NULL",
];

impl Session {
    pub(crate) async fn images_kept(&mut self) -> Result<ImagesKept, StoreError> {
        let mut keep: BTreeSet<Digest> = BTreeSet::new();
        let mut rows = self.rows(sql(NEWEST).bind(long(RELEASES_KEPT))).await?;
        for text in IN_USE {
            rows.extend(self.rows(sql(text)).await?);
        }
        // One that cannot be read is no image's: its app is refused, and takes no other's images with it.
        keep.extend(rows.iter().filter_map(|row| row.parsed::<Digest>("image_config").ok()));
        let mut next = self.counter(Counter::Build).await? + 1;
        for text in UNSETTLED {
            let first = self.row(sql(text)).await?.map(|row| row.number_opt("first")).transpose()?.flatten();
            next = next.min(first.unwrap_or(next));
        }
        let settled = u32::try_from(next - 1).ok().filter(|id| *id > 0).map(BuildId);
        Ok(ImagesKept { keep: keep.into_iter().collect(), settled })
    }
}
