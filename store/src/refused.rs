//! Records that a hand in the tables, or a newer program, has made unreadable: each is its own app's trouble alone.

use std::collections::BTreeMap;

use dinp_common::app::App;
use dinp_common::name::AppName;
use dinp_common::plan::Desired;
use dinp_common::release::ReleaseNo;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::row::Columns as _;

/// Why each app is refused, by its name as it is stored.
#[derive(Debug, Default)]
pub(crate) struct Refused(pub BTreeMap<String, String>);

impl Refused {
    /// The rows that can be read; the app of one that cannot, named in `column`, is refused.
    pub fn read<T>(
        &mut self,
        rows: &[AnyRow],
        column: &str,
        read: impl Fn(&AnyRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut all = Vec::with_capacity(rows.len());
        for row in rows {
            match read(row) {
                Ok(value) => all.push(value),
                Err(error @ StoreError::Unreadable { .. }) => self.refuse(row.text(column)?, error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    fn refuse(&mut self, app: String, why: String) {
        self.0.entry(app).or_insert(why);
    }

    /// Refuses too what only a hand in the tables can make: a release that is referred to and is not there, or two
    /// running deploys of one app. Of a refused app all stays that is whole, so that what runs keeps its routes: an
    /// instance needs its release, and an app whose own record is unreadable is taken for one that runs.
    pub fn complete(&mut self, desired: &mut Desired) {
        let missing = |app: &AppName, release: ReleaseNo| !desired.releases.contains_key(&(app.clone(), release));
        let live = desired.apps.iter().filter_map(|app| Some((&app.name, app.live?)));
        let to = desired.deploys.iter().filter_map(|deploy| Some((&deploy.app, deploy.to?)));
        let run = desired.instances.iter().map(|instance| (&instance.app, instance.release));
        for (app, release) in live.chain(to).chain(run).filter(|(app, release)| missing(app, *release)) {
            self.refuse(app.to_string(), format!("{release} of {app} is referred to, and is missing or cannot be read"));
        }
        for pair in desired.deploys.windows(2).filter(|pair| pair[0].app == pair[1].app) {
            self.refuse(pair[0].app.to_string(), format!("{} has two running deploys", pair[0].app));
        }
        if self.0.is_empty() {
            return;
        }
        let releases = &desired.releases;
        desired.instances.retain(|instance| releases.contains_key(&(instance.app.clone(), instance.release)));
        desired.deploys.retain(|deploy| !self.0.contains_key(deploy.app.as_str()));
        for name in self.0.keys().filter_map(|name| AppName::parse(name).ok()) {
            match desired.apps.binary_search_by(|app| app.name.cmp(&name)) {
                Ok(at) => desired.apps[at].live = desired.apps[at].live.filter(|live| releases.contains_key(&(name, *live))),
                Err(at) => desired.apps.insert(at, unread(name)),
            }
        }
    }
}

/// What stands for an app whose own record cannot be read. Nothing is decided by it.
fn unread(name: AppName) -> App {
    App { instances: 0, ..App::new(name, String::new()) }
}
