//! Nodes and routers that have joined.

use dinp_common::event::Severity;
use dinp_common::name::{NodeName, RouterId};
use dinp_common::node::{Node, NodeUse};
use dinp_common::plan::Note;
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

    /// `None` if no such node has joined.
    pub async fn node_get(&self, node: &NodeName) -> Result<Option<Node>, StoreError> {
        let mut session = self.single().await?;
        let result = session.node(node).await;
        session.end(result).await
    }

    /// Keeps new instances off a node, moves what runs there away, or lets everything back on. Answers the node as it
    /// is then; what is so already is done already.
    pub async fn node_use(&self, node: &NodeName, wanted: NodeUse, by: &str) -> Result<Node, StoreError> {
        let mut session = self.writing(Durability::Durable).await?;
        let result = node_use(&mut session, node, wanted, by).await;
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

impl Session {
    async fn node(&mut self, node: &NodeName) -> Result<Option<Node>, StoreError> {
        let row = self.row(sql("SELECT * FROM nodes WHERE name = ?").bind(node.as_str())).await?;
        row.as_ref().map(node_from).transpose()
    }
}

async fn node_use(session: &mut Session, name: &NodeName, wanted: NodeUse, by: &str) -> Result<Node, StoreError> {
    let before = session.node(name).await?.ok_or_else(|| StoreError::NotFound { what: format!("node {name}") })?;
    let (cordoned, draining, kind, text) = match wanted {
        NodeUse::Open => (false, false, "node_uncordoned", format!("{name} takes new instances again")),
        NodeUse::Cordoned => (true, false, "node_cordoned", format!("{name} takes no new instances; what runs there stays")),
        NodeUse::Draining => (true, true, "node_draining", format!("{name} is drained: what runs there moves to other nodes")),
    };
    let node = Node { cordoned, draining, ..before.clone() };
    if node == before {
        return Ok(node);
    }
    let query = sql("UPDATE nodes SET cordoned = ?, draining = ? WHERE name = ?");
    session.execute(query.bind(long(cordoned)).bind(long(draining)).bind(name.as_str())).await?;
    let node_name = Some(name.clone());
    let severity = Severity::Info;
    let note = Note { severity, kind, app: None, instance: None, node: node_name, text, detail: None };
    session.event_insert(&note, by).await?;
    Ok(node)
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
    Ok(Node { name: row.parsed("name")?, cordoned: row.flag("cordoned")?, draining: row.flag("draining")? })
}
