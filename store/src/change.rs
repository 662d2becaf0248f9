//! Each change of a plan as SQL. Doing one twice is doing it once, except for notes.

use std::net::SocketAddr;

use dinp_common::app::Backoff;
use dinp_common::deploy::{Deploy, DeployNo, DeployState};
use dinp_common::instance::{Instance, InstanceId, Want};
use dinp_common::name::AppName;
use dinp_common::plan::Change;
use dinp_common::release::ReleaseNo;

use crate::counter::Counter;
use crate::error::StoreError;
use crate::event::PLATFORM;
use crate::row::long;
use crate::session::{Session, Sql, sql};

impl Session {
    pub(crate) async fn change(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Place { instance, sequence } => self.place(instance, *sequence).await,
            Change::Move { instance, want, reason } => self.advance(instance, *want, reason).await,
            Change::Prove { instance, address } => self.prove(instance, *address).await,
            Change::Spend { instance, spent_ms } => {
                self.change_row(
                    sql("UPDATE instances SET spent_ms = ? WHERE id = ?").bind(long(*spent_ms)).bind(instance.as_str()),
                )
                .await
            }
            Change::Forget { instance } => {
                self.change_row(sql("DELETE FROM instances WHERE id = ?").bind(instance.as_str())).await
            }
            Change::Progress { app, deploy, spent_ms, failed_starts } => {
                self.progress(app, *deploy, *spent_ms, *failed_starts).await
            }
            Change::Held { app, deploy, paused_ms } => self.held(app, *deploy, *paused_ms).await,
            Change::Finish { app, deploy, state, failure } => {
                let finished = self.deploy_finish(app, *deploy, *state, failure.as_ref()).await?;
                if !finished {
                    tracing::debug!(%app, %deploy, %state, "the deploy had ended before");
                }
                Ok(())
            }
            Change::Live { app, release, generation } => self.live(app, *release, *generation).await,
            Change::Backoff { app, backoff } => self.backoff(app, backoff).await,
            Change::Erase { app } => self.erase(app).await,
            Change::Rebalance(state) => self.rebalance_put(state).await,
            Change::Note(note) => self.event_insert(note, PLATFORM).await,
        }
    }

    /// A change of a row that may be gone.
    async fn change_row(&mut self, query: Sql<'_>) -> Result<(), StoreError> {
        self.execute(query).await.map(|_| ())
    }

    async fn place(&mut self, instance: &Instance, sequence: u64) -> Result<(), StoreError> {
        self.counter_raise(Counter::Instance, sequence).await?;
        let known = self.row(sql("SELECT id FROM instances WHERE id = ?").bind(instance.id.as_str())).await?;
        let release = sql("SELECT number FROM releases WHERE app = ? AND number = ?");
        let release = self.row(release.bind(instance.app.as_str()).bind(long(instance.release.0))).await?;
        if known.is_some() || release.is_none() {
            return Ok(());
        }
        let query =
            sql("INSERT INTO instances (id, app, release_no, generation, node, slot, want, proven, spent_ms, address, reason) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(instance.id.as_str())
            .bind(instance.app.as_str())
            .bind(long(instance.release.0))
            .bind(long(instance.generation))
            .bind(instance.node.as_str())
            .bind(long(instance.index))
            .bind(instance.want.as_str())
            .bind(long(instance.proven))
            .bind(long(instance.spent_ms))
            .bind(instance.address.map(|address| address.to_string()))
            .bind(&instance.reason);
        self.change_row(query).await
    }

    /// Moves an instance forward. One that is there, or further, keeps the time it has spent.
    async fn advance(&mut self, instance: &InstanceId, want: Want, reason: &str) -> Result<(), StoreError> {
        let text = match want {
            Want::Run => return Ok(()),
            Want::Drain => "UPDATE instances SET want = ?, reason = ?, spent_ms = 0 WHERE id = ? AND want = 'run'",
            Want::Stop => "UPDATE instances SET want = ?, reason = ?, spent_ms = 0 WHERE id = ? AND want IN ('run', 'drain')",
        };
        self.change_row(sql(text).bind(want.as_str()).bind(reason).bind(instance.as_str())).await
    }

    async fn prove(&mut self, instance: &InstanceId, address: SocketAddr) -> Result<(), StoreError> {
        let query =
            sql("UPDATE instances SET proven = 1, address = ?, spent_ms = 0 WHERE id = ? AND (proven = 0 OR address <> ?)");
        let address = address.to_string();
        self.change_row(query.bind(address.clone()).bind(instance.as_str()).bind(address)).await
    }

    async fn progress(&mut self, app: &AppName, deploy: DeployNo, spent_ms: u64, failed: u32) -> Result<(), StoreError> {
        let query = sql("UPDATE deploys SET spent_ms = ?, failed_starts = ? WHERE app = ? AND number = ? AND state = 'running'");
        self.change_row(query.bind(long(spent_ms)).bind(long(failed)).bind(app.as_str()).bind(long(deploy.0))).await
    }

    async fn held(&mut self, app: &AppName, deploy: DeployNo, paused_ms: u64) -> Result<(), StoreError> {
        let query = sql("UPDATE deploys SET paused_ms = ? WHERE app = ? AND number = ? AND state = 'running'");
        self.change_row(query.bind(long(paused_ms)).bind(app.as_str()).bind(long(deploy.0))).await
    }

    /// The release serves from now on, unless people have asked for something else since it was planned: by a newer
    /// deploy, or by cancelling this one.
    async fn live(&mut self, app: &AppName, release: ReleaseNo, generation: u32) -> Result<(), StoreError> {
        let latest = self.deploy_newest(app).await?;
        let leads_here = |deploy: &Deploy| {
            (deploy.to, deploy.generation) == (Some(release), generation) && deploy.state != DeployState::Cancelled
        };
        if !latest.as_ref().is_some_and(leads_here) {
            tracing::info!(%app, %release, "people want something else meanwhile: the live release stays as it is");
            return Ok(());
        }
        let query = sql("UPDATE apps SET live = ?, generation = ? WHERE name = ?");
        self.change_row(query.bind(long(release.0)).bind(long(generation)).bind(app.as_str())).await
    }

    async fn backoff(&mut self, app: &AppName, backoff: &Backoff) -> Result<(), StoreError> {
        let query = sql("UPDATE apps SET crashes = ?, wait_ms = ?, calm_ms = ? WHERE name = ?");
        let query = query.bind(long(backoff.crashes)).bind(long(backoff.wait_ms)).bind(long(backoff.calm_ms));
        self.change_row(query.bind(app.as_str())).await
    }

    /// Removes an app of which only the tombstone is left.
    async fn erase(&mut self, app: &AppName) -> Result<(), StoreError> {
        const TABLES: [&str; 5] = [
            "DELETE FROM deploys WHERE app = ?",
            "DELETE FROM build_log WHERE build IN (SELECT id FROM builds WHERE app = ?)",
            "DELETE FROM builds WHERE app = ?",
            "DELETE FROM releases WHERE app = ?",
            "DELETE FROM apps WHERE name = ?",
        ];
        let left = sql("SELECT name FROM apps WHERE name = ? AND deleted = 1 \
             AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.app = apps.name)");
        if self.row(left.bind(app.as_str())).await?.is_none() {
            return Ok(());
        }
        for text in TABLES {
            self.execute(sql(text).bind(app.as_str())).await?;
        }
        Ok(())
    }
}
