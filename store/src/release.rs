//! Releases: written once, never changed.

use dinp_common::digest::Image;
use dinp_common::name::AppName;
use dinp_common::release::{Release, ReleaseNo, RunSpec};
use dinp_common::size::{Cpu, MiB};
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::open::Store;
use crate::row::{Columns as _, long, to_json};
use crate::session::{Session, sql};

impl Store {
    pub async fn release_get(&self, app: &AppName, number: ReleaseNo) -> Result<Option<Release>, StoreError> {
        let mut session = self.single().await?;
        let query = sql("SELECT * FROM releases WHERE app = ? AND number = ?").bind(app.as_str()).bind(long(number.0));
        let result = session.row(query).await;
        session.end(result).await?.as_ref().map(release_from).transpose()
    }

    /// The app's releases, newest first; with `before`, those older than it.
    pub async fn release_list(&self, app: &AppName, before: Option<ReleaseNo>, limit: u32) -> Result<Vec<Release>, StoreError> {
        let before = before.map_or(i64::MAX, |before| long(before.0));
        let query = sql("SELECT * FROM releases WHERE app = ? AND number < ? ORDER BY number DESC LIMIT ?");
        let mut session = self.single().await?;
        let result = session.rows(query.bind(app.as_str()).bind(before).bind(long(limit))).await;
        session.end(result).await?.iter().map(release_from).collect()
    }

    /// The release with the highest number, live or not.
    pub async fn release_newest(&self, app: &AppName) -> Result<Option<Release>, StoreError> {
        Ok(self.release_list(app, None, 1).await?.pop())
    }
}

impl Session {
    /// The highest number a release of the app has; 0 if it has none.
    pub(crate) async fn release_last(&mut self, app: &AppName) -> Result<u32, StoreError> {
        let newest = sql("SELECT MAX(number) AS newest FROM releases WHERE app = ?").bind(app.as_str());
        let newest = self.row(newest).await?.map(|row| row.number_opt::<u32>("newest")).transpose()?.flatten();
        Ok(newest.unwrap_or(0))
    }

    /// Inserts a release under the app's next number; the number in `release` is replaced by it.
    pub(crate) async fn release_insert(&mut self, app: &AppName, mut release: Release) -> Result<ReleaseNo, StoreError> {
        release.number = ReleaseNo(self.release_last(app).await? + 1);
        let spec = &release.spec;
        let query =
            sql("INSERT INTO releases (app, number, image_config, image_manifest, image_name, image_bytes, env, memory_mib, \
             port, health, command, stop_grace_seconds, note, build, author, created_at, cpu_milli, placement) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(app.as_str())
            .bind(long(release.number.0))
            .bind(spec.image.config.as_str())
            .bind(spec.image.manifest.as_ref().map(|digest| digest.as_str()))
            .bind(&spec.image.name)
            .bind(long(spec.image.bytes))
            .bind(to_json("env", &spec.env)?)
            .bind(long(spec.memory.0))
            .bind(long(spec.port))
            .bind(to_json("health", &spec.health)?)
            .bind(spec.command.as_ref().map(|command| to_json("command", command)).transpose()?)
            .bind(long(spec.stop_grace_seconds))
            .bind(&release.note)
            .bind(release.build.map(|build| long(build.0)))
            .bind(&release.author)
            .bind(&release.created_at)
            .bind(spec.cpu.map(|cpu| long(cpu.0)))
            .bind(
                Some(&spec.placement)
                    .filter(|rules| !rules.is_anywhere())
                    .map(|rules| to_json("placement", rules))
                    .transpose()?,
            );
        self.execute(query).await?;
        Ok(release.number)
    }
}

pub(crate) fn release_from(row: &AnyRow) -> Result<Release, StoreError> {
    let image = Image {
        config: row.parsed("image_config")?,
        manifest: row.parsed_opt("image_manifest")?,
        name: row.text("image_name")?,
        bytes: row.number("image_bytes")?,
    };
    let spec = RunSpec {
        image,
        env: row.json("env")?,
        memory: MiB(row.number("memory_mib")?),
        cpu: row.number_opt("cpu_milli")?.map(Cpu),
        placement: row.json_opt("placement")?.unwrap_or_default(),
        port: row.number("port")?,
        health: row.json("health")?,
        command: row.json_opt("command")?,
        stop_grace_seconds: row.number("stop_grace_seconds")?,
    };
    Ok(Release {
        number: ReleaseNo(row.number("number")?),
        spec,
        note: row.text("note")?,
        build: row.number_opt("build")?.map(dinp_common::build::BuildId),
        author: row.text("author")?,
        created_at: row.text("created_at")?,
    })
}
