//! Everything a decision may need, read in one transaction: whole, or not at all.

use std::collections::BTreeMap;

use dinp_common::name::AppName;
use dinp_common::plan::Desired;
use dinp_common::release::Release;
use sqlx::any::AnyRow;

use crate::app::app_from;
use crate::counter::Counter;
use crate::deploy::deploy_from;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::instance::instance_from;
use crate::node::node_from;
use crate::open::Store;
use crate::refused::Refused;
use crate::release::release_from;
use crate::row::Columns as _;
use crate::session::{Session, sql};

/// The releases a decision may need, by what needs them.
const RELEASES: [&str; 3] = [
    "SELECT r.* FROM releases r JOIN apps a ON a.name = r.app AND a.live = r.number",
    "SELECT r.* FROM releases r JOIN deploys d ON d.app = r.app AND d.to_release = r.number WHERE d.state = 'running'",
    "SELECT r.* FROM releases r WHERE EXISTS (SELECT 1 FROM instances i WHERE i.app = r.app AND i.release_no = r.number)",
];

impl Store {
    /// What is wanted: read whole, or not at all. An app with a record that cannot be understood is named in `refused`,
    /// with all of it that can be read, and takes no other app with it.
    ///
    /// Where it is certain that nothing has been written since, it is what was read before.
    pub async fn desired_load(&self) -> Result<Desired, StoreError> {
        match self.dialect() {
            Dialect::Sqlite => self.desired_kept().await,
            // MySQL has no sign of a write that every writer gives.
            Dialect::MySql => {
                let mut session = self.snapshot().await?;
                let result = load(&mut session).await;
                session.end(result).await
            }
        }
    }
}

pub(crate) async fn load(session: &mut Session) -> Result<Desired, StoreError> {
    let apps = session.rows(sql("SELECT * FROM apps ORDER BY name")).await?;
    let deploys = session.rows(sql("SELECT * FROM deploys WHERE state = 'running' ORDER BY app")).await?;
    let instances = session.rows(sql("SELECT * FROM instances ORDER BY id")).await?;
    let nodes = session.rows(sql("SELECT * FROM nodes ORDER BY name")).await?;
    let routers = session.rows(sql("SELECT id FROM routers ORDER BY id")).await?;
    let mut refused = Refused::default();
    let mut releases = BTreeMap::new();
    for text in RELEASES {
        for (app, release) in refused.read(&session.rows(sql(text)).await?, "app", release_of_app)? {
            releases.insert((app, release.number), release);
        }
    }
    let mut desired = Desired {
        apps: refused.read(&apps, "name", app_from)?,
        releases,
        deploys: refused.read(&deploys, "app", deploy_from)?,
        instances: refused.read(&instances, "app", instance_from)?,
        nodes: nodes.iter().map(node_from).collect::<Result<_, _>>()?,
        routers: routers.iter().map(|row| row.parsed("id")).collect::<Result<_, _>>()?,
        next_instance: session.counter(Counter::Instance).await? + 1,
        images: session.images_kept().await?,
        rebalance: session.rebalance().await?,
        refused: BTreeMap::new(),
    };
    refused.complete(&mut desired);
    desired.share_names();
    desired.refused = refused.0;
    Ok(desired)
}

fn release_of_app(row: &AnyRow) -> Result<(AppName, Release), StoreError> {
    Ok((row.parsed("app")?, release_from(row)?))
}
