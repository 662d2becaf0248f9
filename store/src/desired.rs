//! Everything a decision may need, read in one transaction: whole, or not at all.

use std::collections::BTreeMap;

use dinp_common::name::AppName;
use dinp_common::plan::Desired;
use dinp_common::release::{Release, ReleaseNo};

use crate::app::app_from;
use crate::counter::Counter;
use crate::deploy::deploy_from;
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::instance::instance_from;
use crate::node::node_from;
use crate::open::Store;
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
    /// What is wanted. One record that cannot be read makes the whole an error: a hole would look like an absence.
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
    let desired = Desired {
        apps: apps.iter().map(app_from).collect::<Result<_, _>>()?,
        releases: releases(session).await?,
        deploys: deploys.iter().map(deploy_from).collect::<Result<_, _>>()?,
        instances: instances.iter().map(instance_from).collect::<Result<_, _>>()?,
        nodes: nodes.iter().map(node_from).collect::<Result<_, _>>()?,
        routers: routers.iter().map(|row| row.parsed("id")).collect::<Result<_, _>>()?,
        next_instance: session.counter(Counter::Instance).await? + 1,
        images: session.images_kept().await?,
    };
    complete(&desired)?;
    Ok(desired)
}

async fn releases(session: &mut Session) -> Result<BTreeMap<(AppName, ReleaseNo), Release>, StoreError> {
    let mut releases = BTreeMap::new();
    for text in RELEASES {
        for row in session.rows(sql(text)).await? {
            let release = release_from(&row)?;
            releases.insert((row.parsed("app")?, release.number), release);
        }
    }
    Ok(releases)
}

/// Refuses what only a hand in the tables can make: a release that is referred to and is not there, or two running
/// deploys of one app.
fn complete(desired: &Desired) -> Result<(), StoreError> {
    let live = desired.apps.iter().filter_map(|app| Some((&app.name, app.live?)));
    let to = desired.deploys.iter().filter_map(|deploy| Some((&deploy.app, deploy.to?)));
    let run = desired.instances.iter().map(|instance| (&instance.app, instance.release));
    for (app, release) in live.chain(to).chain(run) {
        if !desired.releases.contains_key(&(app.clone(), release)) {
            return Err(StoreError::unreadable("release", format!("{release} of {app} is referred to and missing")));
        }
    }
    match desired.deploys.windows(2).find(|pair| pair[0].app == pair[1].app) {
        Some(pair) => Err(StoreError::unreadable("state", format!("{} has two running deploys", pair[0].app))),
        None => Ok(()),
    }
}
