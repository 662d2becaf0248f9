//! What is kept of an app's past, so that no table grows for ever. Each new deploy drops what has become too old.
//!
//! Nothing that can still matter is ever dropped: the live release, what a running deploy leads to or came from, what an
//! instance is made from, and the latest of everything.

use dinp_common::name::AppName;

use crate::error::StoreError;
use crate::row::long;
use crate::session::{Session, sql};

/// Deploys that are kept of an app, running ones apart: as far back as a rollback without a name looks.
pub const DEPLOYS_KEPT: u32 = 200;
/// Releases that are kept of an app: their images are kept for the latest five, and the rest only tell what was.
pub const RELEASES_RECORDED: u32 = 100;

const DEPLOYS: &str = "DELETE FROM deploys WHERE app = ? AND number <= ? AND state <> 'running'";
const RELEASES: &str = "DELETE FROM releases WHERE app = ? AND number <= ? \
     AND NOT EXISTS (SELECT 1 FROM apps a WHERE a.name = releases.app AND a.live = releases.number) \
     AND NOT EXISTS (SELECT 1 FROM deploys d WHERE d.app = releases.app AND d.state = 'running' \
         AND (d.to_release = releases.number OR d.from_release = releases.number)) \
     AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.app = releases.app AND i.release_no = releases.number)";
/// Ended builds that nothing which is kept was made by.
const BUILDS: [&str; 2] = [
    "DELETE FROM build_log WHERE build IN (SELECT b.id FROM builds b WHERE b.app = ? AND b.state IN ('succeeded', 'failed') \
         AND NOT EXISTS (SELECT 1 FROM deploys d WHERE d.build = b.id) \
         AND NOT EXISTS (SELECT 1 FROM releases r WHERE r.app = b.app AND r.build = b.id))",
    "DELETE FROM builds WHERE app = ? AND state IN ('succeeded', 'failed') \
         AND NOT EXISTS (SELECT 1 FROM deploys d WHERE d.build = builds.id) \
         AND NOT EXISTS (SELECT 1 FROM releases r WHERE r.app = builds.app AND r.build = builds.id)",
];

impl Session {
    /// Drops the app's old deploys, releases and builds. `newest` is its newest deploy's number.
    pub(crate) async fn history_trim(&mut self, app: &AppName, newest: u32) -> Result<(), StoreError> {
        let oldest = newest.saturating_sub(DEPLOYS_KEPT);
        let dropped = match oldest {
            0 => 0,
            _ => self.execute(sql(DEPLOYS).bind(app.as_str()).bind(long(oldest))).await?,
        };
        let last = self.release_last(app).await?.saturating_sub(RELEASES_RECORDED);
        let dropped = dropped
            + match last {
                0 => 0,
                _ => self.execute(sql(RELEASES).bind(app.as_str()).bind(long(last))).await?,
            };
        if dropped > 0 {
            for text in BUILDS {
                self.execute(sql(text).bind(app.as_str())).await?;
            }
        }
        Ok(())
    }
}
