//! Nodes and routers that have joined.

use dinp_common::name::{NodeName, RouterId};
use dinp_common::node::Node;
use sqlx::any::AnyRow;

use crate::dialect::Durability;
use crate::error::StoreError;
use crate::open::Store;
use crate::row::{Columns as _, long};
use crate::session::{Session, sql};

impl Store {
    /// Records a node that joins; without effect if it is known. Answers whether it is new.
    pub async fn node_record(&self, node: &NodeName) -> Result<bool, StoreError> {
        if self.is_known("SELECT name FROM nodes WHERE name = ?", node.as_str()).await? {
            return Ok(false);
        }
        let mut session = self.writing(Durability::Durable).await?;
        let result = node_insert(&mut session, node).await;
        session.end(result).await
    }

    /// Keeps new instances off a node, or lets them back on.
    pub async fn node_cordon(&self, node: &NodeName, cordoned: bool) -> Result<(), StoreError> {
        let query = sql("UPDATE nodes SET cordoned = ? WHERE name = ?").bind(long(cordoned)).bind(node.as_str());
        let mut session = self.writing(Durability::Durable).await?;
        let result = match session.execute(query).await {
            Ok(0) => Err(StoreError::NotFound { what: format!("node {node}") }),
            other => other.map(|_| ()),
        };
        session.end(result).await
    }

    /// Records a router that joins, before it gets its first table; without effect if it is known. Answers whether it
    /// is new.
    pub async fn router_record(&self, router: &RouterId) -> Result<bool, StoreError> {
        if self.is_known("SELECT id FROM routers WHERE id = ?", router.as_str()).await? {
            return Ok(false);
        }
        let mut session = self.writing(Durability::Durable).await?;
        let result = router_insert(&mut session, router).await;
        session.end(result).await
    }

    /// Strikes a router that said goodbye or is forgotten on purpose. `false` if it was not recorded.
    pub async fn router_forget(&self, router: &RouterId) -> Result<bool, StoreError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = session.execute(sql("DELETE FROM routers WHERE id = ?").bind(router.as_str())).await;
        Ok(session.end(result).await? == 1)
    }

    /// Agents and routers join often and are new once: the usual answer costs one read and no commit.
    async fn is_known(&self, text: &'static str, name: &str) -> Result<bool, StoreError> {
        let mut session = self.single().await?;
        let result = session.row(sql(text).bind(name)).await;
        Ok(session.end(result).await?.is_some())
    }
}

async fn node_insert(session: &mut Session, node: &NodeName) -> Result<bool, StoreError> {
    if session.row(sql("SELECT name FROM nodes WHERE name = ?").bind(node.as_str())).await?.is_some() {
        return Ok(false);
    }
    session.execute(sql("INSERT INTO nodes (name, cordoned) VALUES (?, 0)").bind(node.as_str())).await?;
    Ok(true)
}

async fn router_insert(session: &mut Session, router: &RouterId) -> Result<bool, StoreError> {
    if session.row(sql("SELECT id FROM routers WHERE id = ?").bind(router.as_str())).await?.is_some() {
        return Ok(false);
    }
    session.execute(sql("INSERT INTO routers (id) VALUES (?)").bind(router.as_str())).await?;
    Ok(true)
}

pub(crate) fn node_from(row: &AnyRow) -> Result<Node, StoreError> {
    Ok(Node { name: row.parsed("name")?, cordoned: row.flag("cordoned")? })
}
