//! The leader's pass, as `server/src/reconcile.rs` makes it, in the steps between which its process may stand still.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use dinp_common::fence::Fence;
use dinp_common::name::NodeName;
use dinp_common::node::{Capacity, NodeFacts};
use dinp_common::size::MiB;
use dinp_planner::observed::{Freshness, NodeSeen, Observed};
use dinp_planner::policy::Policy;
use dinp_planner::reported::Reported;

use crate::server::{Pass, Server, Tenure};
use crate::settings::{Decisions, Planted, Settings};
use crate::store::{Answer, Database, Statement};

static NODES: LazyLock<[NodeName; 2]> = LazyLock::new(|| ["n0", "n1"].map(|name| NodeName::parse(name).expect("a name")));

/// It acts, and reads everything in one transaction.
pub fn load(server: &mut Server, store: &Database) {
    if let Some(fence) = server.acting().cloned() {
        server.pass = Pass::Loaded { fence, decided: store.decided };
    }
}

/// It decides, if it still acts under the fence it had before the load.
///
/// # Errors
/// If it moves an app off a node that has not had its time.
pub fn decide(server: &mut Server, more: bool, settings: &Settings) -> Result<(), String> {
    let Pass::Loaded { fence, decided } = std::mem::replace(&mut server.pass, Pass::Idle) else { return Ok(()) };
    if server.acting() != Some(&fence) {
        return Ok(());
    }
    let now_ms = server.now_ms;
    let leading_ms = now_ms - Tenure::current(&mut server.term, &fence, now_ms).since_ms;
    let new = match settings.decisions {
        Decisions::Asked(_) if more => 1 << decided.count_ones(),
        Decisions::None | Decisions::Asked(_) => 0,
        Decisions::Moves { lost_after_ms } => moves(server, leading_ms, lost_after_ms, settings)? & !decided,
    };
    server.pass =
        if new == 0 { Pass::Stored { fence, decided } } else { Pass::Committing { fence, decided: decided | new, held: None } };
    Ok(())
}

/// The apps to move: a bit for each whose node is lost.
fn moves(server: &Server, leading_ms: u64, lost_after_ms: u64, settings: &Settings) -> Result<u8, String> {
    let policy = Policy { lost_after_ms, suspect_after_ms: lost_after_ms / 2, ..Policy::default() };
    let seen = |heard: u64| NodeSeen {
        returns: Vec::new(),
        steps: BTreeMap::new(),
        silent_ms: server.now_ms - heard,
        facts: FACTS.clone(),
        instances: Reported::default(),
        cooling: Vec::new(),
        orphans: Vec::new(),
    };
    let nodes = NODES.iter().zip(server.heard).filter_map(|(name, heard)| Some((name.clone(), seen(heard?))));
    let observed = Observed { nodes: nodes.collect(), routers: BTreeMap::new() };
    let believed_ms = if settings.has(Planted::WarmUpSkipped) { u64::MAX } else { leading_ms };
    let mut moves = 0;
    for (node, name) in NODES.iter().enumerate() {
        if observed.freshness(name, believed_ms, &policy) == Freshness::Lost {
            if leading_ms < lost_after_ms {
                return Err(format!(
                    "a leader of {leading_ms} ms moves the app of {name}, which had {lost_after_ms} ms to report"
                ));
            }
            moves |= 1 << node;
        }
    }
    Ok(moves)
}

static FACTS: LazyLock<NodeFacts> = LazyLock::new(|| NodeFacts {
    capacity: Capacity { memory: MiB(0), cpus: 1, addresses: 1 },
    labels: BTreeMap::new(),
    zone: String::new(),
    version: String::new(),
    docker: Ok(String::new()),
    disk_free: 0,
    disk_total: 0,
});

/// The store executes the commit.
///
/// # Errors
/// If it writes for a leader that is none.
pub fn execute(server: &mut Server, store: &mut Database, settings: &Settings) -> Result<(), String> {
    if let Pass::Committing { fence, decided, held } = &mut server.pass {
        let answer = store.execute(&Statement::Commit { fence: fence.clone(), decided: *decided }, settings)?;
        *held = Some(matches!(answer, Answer::Held(true)));
    }
    Ok(())
}

/// The commit's answer arrives: stored, or another server leads.
pub fn answered(server: &mut Server) {
    server.pass = match std::mem::replace(&mut server.pass, Pass::Idle) {
        Pass::Committing { fence, decided, held: Some(true) } => Pass::Stored { fence, decided },
        Pass::Committing { held: Some(false), .. } => Pass::Idle,
        other => other,
    };
}

/// The outcome of the commit is unknown; the next pass reads what became of it.
pub fn give_up(server: &mut Server) -> Option<Statement> {
    match std::mem::replace(&mut server.pass, Pass::Idle) {
        Pass::Committing { fence, decided, .. } => Some(Statement::Commit { fence, decided }),
        Pass::Idle | Pass::Loaded { .. } | Pass::Stored { .. } => None,
    }
}

/// What everybody is told now: fence, version and what is decided. Nobody asks again whether the server still acts.
pub fn told(server: &mut Server) -> Option<(Fence, u64, u8)> {
    let Pass::Stored { fence, decided } = server.pass.clone() else { return None };
    server.pass = Pass::Idle;
    let now_ms = server.now_ms;
    let revision = Tenure::current(&mut server.term, &fence, now_ms).version(decided);
    Some((fence, revision, decided))
}
