//! What is kept of an app's past, by the rules of `store/src/history.rs`.

use std::collections::BTreeSet;

use dinp_common::name::AppName;
use dinp_common::release::ReleaseNo;

use super::Store;

/// Releases that are kept of an app.
const RELEASES_RECORDED: u32 = 100;

impl Store {
    /// Drops the app's old releases, except those that can still matter.
    pub(super) fn history_trim(&mut self, name: &AppName) {
        let tables = &mut self.tables;
        let of_app = (name.clone(), ReleaseNo(0))..=(name.clone(), ReleaseNo(u32::MAX));
        let last = tables.releases.range(of_app.clone()).next_back().map_or(0, |((_, number), _)| number.0);
        let Some(oldest) = last.checked_sub(RELEASES_RECORDED).filter(|oldest| *oldest > 0) else { return };
        let live = tables.apps.iter().filter(|app| app.name == *name).filter_map(|app| app.live);
        let moving = tables.deploys.iter().filter(|deploy| deploy.app == *name).flat_map(|deploy| [deploy.to, deploy.from]);
        let run = tables.instances.iter().filter(|instance| instance.app == *name).map(|instance| instance.release);
        let needed: BTreeSet<ReleaseNo> = live.chain(moving.flatten()).chain(run).collect();
        let old = tables.releases.range(of_app).map(|((_, number), _)| *number).take_while(|number| number.0 <= oldest);
        let gone: Vec<ReleaseNo> = old.filter(|number| !needed.contains(number)).collect();
        for number in gone {
            tables.releases.remove(&(name.clone(), number));
        }
    }
}
