//! Instances: read here, changed only by the leader's commits.

use dinp_common::instance::Instance;
use dinp_common::name::AppName;
use dinp_common::release::ReleaseNo;
use sqlx::any::AnyRow;

use crate::error::StoreError;
use crate::open::Store;
use crate::row::Columns as _;
use crate::session::sql;

impl Store {
    /// The app's instances, sorted by id.
    pub async fn instance_list_by_app(&self, app: &AppName) -> Result<Vec<Instance>, StoreError> {
        let mut session = self.single().await?;
        let result = session.rows(sql("SELECT * FROM instances WHERE app = ? ORDER BY id").bind(app.as_str())).await;
        session.end(result).await?.iter().map(instance_from).collect()
    }
}

pub(crate) fn instance_from(row: &AnyRow) -> Result<Instance, StoreError> {
    Ok(Instance {
        id: row.parsed("id")?,
        app: row.parsed("app")?,
        release: ReleaseNo(row.number("release_no")?),
        generation: row.number("generation")?,
        node: row.parsed("node")?,
        index: row.number("slot")?,
        want: row.parsed("want")?,
        proven: row.flag("proven")?,
        spent_ms: row.number("spent_ms")?,
        address: row.parsed_opt("address")?,
        reason: row.text("reason")?,
    })
}
